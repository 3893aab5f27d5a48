"""From times of two sides, taken in turns, to a speedup and how sure it is. Pure.

The interval of a median lies between two of the sorted ratios; the binomial distribution says how
often it holds the truth, whatever the noise is. A point is measured several times, on inputs that
lie elsewhere in memory, and its interval spans what each measurement says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from .regions import AxisSizes, TimedPoint

_LEVEL = 0.95


@dataclass(frozen=True)
class PairedTimes:
    """Seconds a call of both sides, taken in turns."""

    baseline_s: Sequence[float]
    kernel_s: Sequence[float]


def point_of(
    axes: AxisSizes, measured: Sequence[PairedTimes], *, baseline: str = "", same_bits: bool
) -> TimedPoint:
    """A point from what was measured at some sizes.

    Args:
        axes: The sizes.
        measured: Each on inputs of its own.
        baseline: What the kernel was timed against.
        same_bits: Whether both sides gave the same bits.

    Raises:
        ValueError: Not as many times of one side as of the other, or none.
    """
    logs = [_logs(times) for times in measured]
    if not all(logs) or not logs:
        raise ValueError("no pair was timed")
    ranks = [outer_rank(len(found)) for found in logs]
    return TimedPoint(
        axes=dict(axes),
        speedup=math.exp(fmean(median(found) for found in logs)),
        low=math.exp(min(found[rank] for found, rank in zip(logs, ranks, strict=True))),
        high=math.exp(max(found[-1 - rank] for found, rank in zip(logs, ranks, strict=True))),
        chance=min(map(_chance, logs)),
        same_bits=same_bits,
        baseline=baseline,
    )


def outer_rank(count: int) -> int:
    """How many of `count` sorted values may be left out at each end for the level to be kept."""
    rank = 0
    while rank + 1 < (count + 1) // 2 and 2 * _at_most(rank + 1, count) <= 1 - _LEVEL:
        rank += 1
    return rank


def _chance(logs: Sequence[float]) -> float:
    """How sure it is that the median is above 1: what a sign test of the ratios says."""
    return 1.0 - _at_most(sum(log <= 0 for log in logs), len(logs))


def _at_most(heads: int, count: int) -> float:
    """How likely `count` tosses of a coin show no more than so many heads."""
    return float(sum(math.comb(count, k) for k in range(heads + 1)) / 2**count)


def _logs(times: PairedTimes) -> list[float]:
    pairs = zip(times.baseline_s, times.kernel_s, strict=True)
    return sorted(math.log(baseline / kernel) for baseline, kernel in pairs)
