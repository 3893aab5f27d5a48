"""Is a speedup real, or the best of noisy draws? A second measurement, corrected for the picks.

A kernel is `faster` when two measurements on different inputs say so: the first picked it, so only
the second counts, with its interval widened for the number of kernels that had the same chance
(Bonferroni over the kernels timed so far for the op and dtype). What a search measures again at
its end is stated with intervals widened for the number of its finalists. An interval that is stated
spans both measurements, so that it tells how far the same kernel reads apart on other inputs in
other memory.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence

from foundry.judge.time.statistics import speedup
from foundry.judge.verdict import Timing

_ALPHA = 0.05
_APART = 1.2
"""A kernel reads so far apart, at most, in most pairs of measurements on other inputs in other
memory."""


class Looks:
    """How many kernels had a chance to look fastest, by op and dtype."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._guard = threading.Lock()

    def add(self, op: str, dtype: str) -> int:
        """Count one more kernel, and give the number so far."""
        with self._guard:
            count = self._counts.get((op, dtype), 0) + 1
            self._counts[op, dtype] = count
        return count

    def expect(self, op: str, dtype: str, count: int) -> None:
        """Correct every pick from now on for at least `count` kernels before it."""
        with self._guard:
            self._counts[op, dtype] = max(count, self._counts.get((op, dtype), 0))


def fresh_seed(seed: int) -> int:
    """The seed of the inputs on which a pick is confirmed."""
    return derived_seed(seed, "confirm")


def derived_seed(seed: int, what: str) -> int:
    """A seed for something else, which nobody can tell who does not know the first."""
    digest = hashlib.sha256(f"{what} {seed}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def is_faster(timings: Sequence[Timing], looks: int, drift: float = 1.0) -> bool:
    """Whether second measurements, corrected for `looks` picks, are above 1 as a geometric mean.

    Where the device drifted while it was measured, above the drift instead. Fewer blocks than
    `blocks_for` cannot show it.
    """
    if not timings:
        return False
    level = 1.0 - _ALPHA / max(looks, 1)
    if min(len(t.samples_kernel_us) // 2 for t in timings) < blocks_for(looks):
        return False
    lows = [speedup(t.samples_baseline_us, t.samples_kernel_us, level=level).low for t in timings]
    return math.fsum(math.log(low) for low in lows) / len(lows) > math.log(drift)


def blocks_for(looks: int) -> int:
    """Blocks that an interval corrected for so many picks needs: all of them on one side of 1."""
    return math.ceil(math.log2(2 * max(looks, 1) / _ALPHA))


def spanning(timings: Sequence[Timing], before: Sequence[Timing]) -> list[Timing]:
    """Timings with intervals that hold those of an earlier measurement too."""
    earlier = {timing.workload: timing for timing in before}
    return [_joined(timing, earlier.get(timing.workload, timing)) for timing in timings]


def measured_once(timings: Sequence[Timing]) -> list[Timing]:
    """Timings with intervals as wide as those that span two measurements."""
    return [
        _spread(timing, timing.speedup_low / _APART, timing.speedup_high * _APART)
        for timing in timings
    ]


def widened(timings: Sequence[Timing], finalists: int) -> list[Timing]:
    """Timings with intervals so wide that those of all finalists hold at once.

    Each of `finalists` kernels that are measured together has its chance to look best, so the best
    one's own 95 % interval would promise too much (Bonferroni over the finalists).
    """
    level = 1.0 - _ALPHA / max(finalists, 1)
    return [_at_level(timing, level) for timing in timings]


def _at_level(timing: Timing, level: float) -> Timing:
    found = speedup(timing.samples_baseline_us, timing.samples_kernel_us, level=level)
    return _spread(timing, found.low, found.high)


def _joined(timing: Timing, other: Timing) -> Timing:
    return _spread(timing, other.speedup_low, other.speedup_high)


def _spread(timing: Timing, low: float, high: float) -> Timing:
    ends = {
        "speedup_low": min(low, timing.speedup_low),
        "speedup_high": max(high, timing.speedup_high),
    }
    return timing.model_copy(update=ends)
