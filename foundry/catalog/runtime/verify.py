"""Checks what this machine can run against what the judge expects of it.

`checks.safetensors` holds inputs, the float64 results of the op's formula and how far each element
may be from them, as the judge of kernels had them where this package was built.
The fallback of every op is held to them, once compiled too, and every kernel where Metal is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import mlx.core as mx

from .arguments import MatchedCall, Sizes, dtype_in, match, shape_of
from .dispatch import HERE, CatalogFunction, chip

Arrays = Mapping[str, mx.array]
_PATHS = ("empty", "fallback", "fallback, compiled")
"""What a check runs where it runs no kernel."""


@dataclass(frozen=True)
class KernelCheck:
    """One kernel, or one op's fallback, on one workload."""

    op: str
    path: str
    dtype: str
    axes: Mapping[str, int]
    passed: bool
    detail: str


def checks(functions: Mapping[str, CatalogFunction]) -> Iterator[KernelCheck]:
    """Run everything that can run here."""
    loaded: Any = mx.load(str(HERE / "checks.safetensors"))
    for name, function in functions.items():
        for record in function.op["checks"]:
            call = _call(function, record, loaded)
            for path, run in _paths(function, call, record is function.op["checks"][0]):
                detail = _outcome(function, record, loaded, call, run)
                yield KernelCheck(name, path, call.sizes.dtype, call.sizes.axes, not detail, detail)


def summary(done: list[KernelCheck], functions: Mapping[str, CatalogFunction]) -> dict[str, Any]:
    """Counts and, honestly, what could not be tested here."""
    kernels = sum(len(f.op["kernels"]) for f in functions.values())
    tested = {(c.op, c.path) for c in done if c.path not in _PATHS}
    untested = [] if chip() else [f"{kernels} kernels: Metal is not available on this machine"]
    uncompared = [
        f"{name}: {tensor['name']} may come out in more than one way ({tensor['match']})"
        for name, function in functions.items()
        for tensor in function.op["outputs"]
        if tensor["match"] not in ("close", "exact")
    ]
    return {
        "checks": len(done),
        "failed": [asdict(c) for c in done if not c.passed],
        "kernels": kernels,
        "kernels_tested": len(tested),
        "not_tested": [*untested, *uncompared, "gradients: they come from the fallback"],
    }


def _call(function: CatalogFunction, record: Mapping[str, Any], loaded: Arrays) -> MatchedCall:
    prefix = record["arrays"]
    arrays = [loaded.get(f"{prefix}/in/{t['name']}") for t in function.op["inputs"]]
    return match(function.op, arrays, {**record["axes"], **record["params"]})


def _paths(
    function: CatalogFunction, call: MatchedCall, is_first: bool
) -> Iterator[tuple[str, Callable[[], Sequence[mx.array]]]]:
    if any(a is not None and not a.size for a in call.arrays):
        yield "empty", partial(function.without_kernels(call), *call.arrays)
        return
    yield "fallback", partial(function.without_kernels(call), *call.arrays)
    if is_first:  # On a CPU, MLX starts a compiler for each.
        yield "fallback, compiled", partial(_compiled, function, call)
    if chip() is None:
        return
    for kernel in function.op["kernels"]:
        if kernel["dtype"] == call.sizes.dtype:
            yield kernel["hash"][:12], partial(function.with_kernel(kernel, call), *call.arrays)


def _compiled(function: CatalogFunction, call: MatchedCall) -> Sequence[mx.array]:
    given = [at for at, array in enumerate(call.arrays) if array is not None]
    run = function.without_kernels(call)

    def traced(*present: mx.array) -> Sequence[mx.array]:
        found = dict(zip(given, present, strict=True))
        return run(*[found.get(at) for at in range(len(call.arrays))])

    results: Sequence[mx.array] = mx.compile(traced)(*(a for a in call.arrays if a is not None))
    return results


def _outcome(
    function: CatalogFunction,
    record: Mapping[str, Any],
    loaded: Arrays,
    call: MatchedCall,
    run: Callable[[], Sequence[mx.array]],
) -> str:
    """Empty when every output is as it should be."""
    try:
        outputs = run()
        mx.eval(outputs)
    except Exception as error:  # whatever it is, the other checks go on
        return f"{type(error).__name__}: {error}"
    faults = (
        _difference(tensor, got, loaded, record["arrays"], call.sizes)
        for tensor, got in zip(function.op["outputs"], outputs, strict=True)
    )
    return next((fault for fault in faults if fault), "")


def _difference(
    tensor: Mapping[str, Any], got: mx.array, loaded: Arrays, prefix: str, sizes: Sizes
) -> str:
    name = tensor["name"]
    if list(got.shape) != shape_of(tensor, sizes) or got.dtype != dtype_in(tensor, sizes):
        return f"{name}: shape {list(got.shape)} or dtype {got.dtype} is wrong"
    want, bound = (loaded.get(f"{prefix}/{kind}/{name}") for kind in ("want", "bound"))
    if want is None:  # It may come out in more than one way.
        return ""
    if bound is None:
        same = mx.array_equal(got, want, equal_nan=mx.issubdtype(got.dtype, mx.floating)).item()
        return "" if same else f"{name}: differs from what the formula gives"
    # Nothing is asked of elements that leave the range of the dtype.
    is_float = mx.issubdtype(got.dtype, mx.floating)
    asked = mx.abs(want) <= (mx.finfo(got.dtype).max if is_float else mx.iinfo(got.dtype).max)
    error = mx.where(asked, mx.abs(got.astype(mx.float32) - want), 0.0)
    worst = float(mx.max(error / bound).item())  # type: ignore[arg-type]
    return "" if worst <= 1.0 else f"{name}: error is {worst:.3g} times its bound"
