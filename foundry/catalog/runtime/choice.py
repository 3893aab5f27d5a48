"""Which path a call takes: the one rule of this package.

1. MLX's own function, the first baseline of the op, answers where no kernel is known to win.
2. A kernel answers where it is proven for these sizes and numbers, gave what the formula gives on
   this machine, and was measured to win: here by `python -m NAME tune`, against the fastest way to
   do without it, or on the same chip where the package was built. Of several, the one that wins by
   most.
3. Where nothing was measured, or a transformation or device cannot take a kernel, the baseline
   answers: the plain MLX of the op, which needs neither Metal nor a record.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from .arguments import MatchedCall, Record, dtype_in, shape_of
from .bounds import numbers_unproven, sizes_unproven
from .device import PREFIX, chip
from .learning.learnt import KernelVerdict
from .learning.regions import TunedRegion
from .learning.winning import Winning
from .transforms import is_tracing_through

DISPATCH_VARIABLE = f"{PREFIX}_DISPATCH"
_MODES = ("auto", "off", "all")
_NARROW = ("float16", "bfloat16")


def _mode() -> str:
    given = os.environ.get(DISPATCH_VARIABLE, "auto")
    if given not in _MODES:
        warnings.warn(
            f"{DISPATCH_VARIABLE}={given} means nothing; give auto, off or all. auto is taken.",
            stacklevel=2,
        )
        return "auto"
    return given


MODE = _mode()


@dataclass(frozen=True)
class Dispatch:
    """Which path a call takes, and why."""

    kernel: Mapping[str, Any] | None
    why: str


@dataclass(frozen=True)
class Known:
    """What is known of kernels on this machine."""

    verdict: Callable[[Record, Record], KernelVerdict]
    """Of an op and a kernel."""
    winning: Callable[[Record], Winning]
    """Of a kernel."""


def key_of(kernel: Record) -> str:
    """What verdicts and times of a kernel are kept under."""
    return f"{kernel['hash'][:16]} {kernel['dtype']}"


def distinct(op: Record) -> list[Record]:
    """The kernels of an op, each once: one that was timed on two devices has two records."""
    found: dict[str, Record] = {}
    for kernel in op["kernels"]:
        found.setdefault(key_of(kernel), kernel)
    return list(found.values())


def choose(op: Record, call: MatchedCall, known: Known, *, exactly: bool = False) -> Dispatch:
    """The kernel for a call, or None and the reason.

    Args:
        op: The op.
        call: Its arguments, matched.
        known: What is known of kernels here.
        exactly: In 16 bits only a kernel that gives the very bits of the code that it replaces.
    """
    found, why = serving(op, call, known, exactly=exactly)
    for gain, kernel in found:
        if not (why := numbers_unproven(kernel, call.sizes.params)):
            said = f"kernel {kernel['hash'][:12]}" + (f", {gain:.2f}x" if gain > 1 else "")
            return Dispatch(kernel, said)
    return Dispatch(None, why)


def serving(
    op: Record, call: MatchedCall, known: Known, *, exactly: bool = False
) -> tuple[list[tuple[float, Record]], str]:
    """Kernels that may answer at the sizes of a call, and by how much they win: the best first.

    Values of parameters are not looked at, but for those that `bounds.deciding` names.

    Returns:
        They, and why there are no more.
    """
    if said := never(op, call):
        return [], said
    why, found = f"no kernel for {call.sizes.dtype}", []
    for kernel in op["kernels"]:
        if kernel["dtype"] != call.sizes.dtype or not is_of_one_dtype(op, call):
            continue
        said, gain = _judged(op, kernel, call, known, exactly)
        if said:
            why = said
        else:
            found.append((gain, kernel))
    return sorted(found, key=lambda one: -one[0]), why


def nowhere() -> str:
    """Why no kernel at all can answer now; empty when one may."""
    if MODE == "off":
        return f"{DISPATCH_VARIABLE}=off"
    if chip() is None:
        return "Metal is not available on this machine"
    if mx.default_device().type != mx.gpu:
        return "the default device is the CPU"
    return ""


def never(op: Record, call: MatchedCall) -> str:
    """Why no kernel at all can answer a call; empty when one may."""
    if said := nowhere():
        return said
    if is_tracing_through():
        return "traced by a transformation that cannot pass through a kernel"
    if not all(a is None or a.size for a in call.arrays):
        return "an input is empty"
    if all(0 in shape_of(t, call.sizes) for t in op["outputs"]):
        return "every output is empty"
    return ""


def _judged(
    op: Record, kernel: Record, call: MatchedCall, known: Known, exactly: bool
) -> tuple[str, float]:
    """Why a kernel does not answer a call, or an empty text and by how much it is faster."""
    where = known.winning(kernel)
    region = where.index.covering(call.sizes.axes)
    if region is None and MODE != "all":
        return where.elsewhere, 0.0
    if said := sizes_unproven(op, kernel, call.sizes):
        return said, 0.0
    verdict = known.verdict(op, kernel)
    if not verdict.passed:
        return f"kernel {kernel['hash'][:12]} is off: {verdict.detail}", 0.0
    if exactly and kernel["dtype"] in _NARROW and not _gives_same_bits(verdict, region):
        return "its bits are not those of what it replaces, and 16 bits are few", 0.0
    return "", region.speedup if region else 1.0


def _gives_same_bits(verdict: KernelVerdict, region: TunedRegion | None) -> bool:
    return verdict.same_bits and (region is None or region.same_bits)


def is_of_one_dtype(op: Record, call: MatchedCall) -> bool:
    """Whether every array has the dtype that the kernel was proven for."""
    pairs = zip(op["inputs"], call.arrays, strict=True)
    return all(a is None or a.dtype == dtype_in(t, call.sizes) for t, a in pairs)
