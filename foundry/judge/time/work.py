"""Work told apart from dispatch: what is taken off the times of both sides. Pure.

On a processor a call of MLX costs tens of microseconds whatever it computes, and one of the cpu
engine a few. Neither is the kernel's doing, nor a GPU's cost, so a speedup is that of the work. On
a GPU the link that chains the calls is taken off, which is no part of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MOSTLY = 0.25
"""Share of dispatch above which a baseline's time says too little about its work."""
_LEAST_OF_KERNEL = 0.5
_LEAST_OF_BASELINE = 0.05


@dataclass(frozen=True)
class Taken:
    """What is taken off the time of every call, in microseconds."""

    baseline_us: float = 0.0
    kernel_us: float = 0.0


def is_mostly_dispatch(latency_us: float, dispatch_us: float) -> bool:
    """Whether a baseline is too short to tell its work."""
    return dispatch_us > _MOSTLY * latency_us


def of_baseline(times_us: Sequence[float], taken: Taken) -> tuple[float, ...]:
    """The baseline's work."""
    return tuple(max(t - taken.baseline_us, _LEAST_OF_BASELINE * t) for t in times_us)


def of_kernel(times_us: Sequence[float], taken: Taken) -> tuple[float, ...]:
    """The kernel's work; at least half of its time, for what is left of little is no measure."""
    return tuple(max(t - taken.kernel_us, _LEAST_OF_KERNEL * t) for t in times_us)
