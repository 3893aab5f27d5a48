"""Holds what came out of a path to what the judge expects of it.

`checks.safetensors` holds inputs, the float64 results of the op's formula and how far each element
may be from them, as the judge of kernels had them where this package was built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import mlx.core as mx

from .arguments import MatchedCall, Record, Sizes, dtype_in, match, shape_of
from .device import HERE
from .learning.learnt import KernelVerdict
from .replaced import bits_of
from .running import ShippedBaseline, with_kernel, without_kernels

Arrays = Mapping[str, mx.array]


@cache
def arrays() -> Arrays:
    """Inputs, results and bounds of every check."""
    loaded: Any = mx.load(str(HERE / "checks.safetensors"))
    found: Arrays = loaded
    return found


def call_of(op: Record, check: Record) -> MatchedCall:
    """The call that a check makes."""
    given = [arrays().get(f"{check['arrays']}/in/{t['name']}") for t in op["inputs"]]
    return match(op, given, {**check["axes"], **check["params"], **check["types"]})


def outcome(
    op: Record, check: Record, call: MatchedCall, run: Callable[[], Sequence[mx.array]]
) -> str:
    """Run, and say what is wrong; empty when every output is as it should be."""
    try:
        outputs = run()
        mx.eval(outputs)
    except Exception as error:  # whatever it is, the other checks go on
        return f"{type(error).__name__}: {error}"
    faults = (
        _difference(tensor, got, check["arrays"], call.sizes)
        for tensor, got in zip(op["outputs"], outputs, strict=True)
    )
    return next((fault for fault in faults if fault), "")


def verdict_of(op: Record, fallback: ShippedBaseline, kernel: Record) -> KernelVerdict:
    """Run every check of a kernel's dtype: is it right here, are its bits those it replaces.

    Where that cannot be found out, such as without the package's own checks, the kernel is off.
    """
    try:
        return _verdict_of(op, fallback, kernel)
    except Exception as error:  # whatever it is, the baseline answers the call that asked
        return KernelVerdict(passed=False, detail=f"not checked: {type(error).__name__}: {error}")


def _verdict_of(op: Record, fallback: ShippedBaseline, kernel: Record) -> KernelVerdict:
    same, checked = True, False
    for check in op["checks"]:
        call = call_of(op, check)
        if call.sizes.dtype != kernel["dtype"] or is_empty(call):
            continue
        checked = True
        run = with_kernel(op, fallback, kernel, call)
        if said := outcome(op, check, call, partial(run, *call.arrays)):
            return KernelVerdict(passed=False, detail=said)
        same = same and has_bits_of(bits_of(op, fallback), op, call, run(*call.arrays))
    if not checked:
        return KernelVerdict(passed=False, detail="there is nothing to hold it to here")
    return KernelVerdict(passed=True, detail="", same_bits=same)


def has_bits_of(
    baseline: ShippedBaseline, op: Record, call: MatchedCall, results: Sequence[mx.array]
) -> bool:
    """Whether results are those of a baseline to the last bit; no where it does not take a call."""
    try:
        return equal_bits(results, without_kernels(op, baseline, call)(*call.arrays))
    except (ValueError, RuntimeError, TypeError, AttributeError, LookupError):
        return False


def equal_bits(some: Sequence[mx.array], others: Sequence[mx.array]) -> bool:
    """Whether two results are the same, element by element.

    Raises:
        ValueError: Not as many of one as of the other.
    """
    pairs = zip(some, others, strict=True)
    return all(
        a.dtype == b.dtype
        and bool(mx.array_equal(a, b, equal_nan=mx.issubdtype(a.dtype, mx.floating)).item())
        for a, b in pairs
    )


def is_empty(call: MatchedCall) -> bool:
    """Whether a call has an input without elements."""
    return any(a is not None and not a.size for a in call.arrays)


def _difference(tensor: Record, got: mx.array, prefix: str, sizes: Sizes) -> str:
    name = tensor["name"]
    if list(got.shape) != shape_of(tensor, sizes) or got.dtype != dtype_in(tensor, sizes):
        return f"{name}: shape {list(got.shape)} or dtype {got.dtype} is wrong"
    if not got.size:
        return ""
    want, bound = (arrays().get(f"{prefix}/{kind}/{name}") for kind in ("want", "bound"))
    if want is None:  # It may come out in more than one way.
        return ""
    if bound is None:
        same = mx.array_equal(got, want, equal_nan=mx.issubdtype(got.dtype, mx.floating)).item()
        return "" if same else f"{name}: differs from what the formula gives"
    # Nothing is asked of elements that leave the range of the dtype.
    is_float = mx.issubdtype(got.dtype, mx.floating)
    asked = mx.abs(want) <= (mx.finfo(got.dtype).max if is_float else mx.iinfo(got.dtype).max)
    error = mx.where(asked, mx.abs(got.astype(mx.float32) - want), 0.0)
    if mx.all(error <= bound).item():  # no quotient: a GPU may take the smallest bounds for 0
        return ""
    worst = float(mx.max(error / bound).item())  # type: ignore[arg-type]
    return f"{name}: error is {worst:.3g} times its bound"
