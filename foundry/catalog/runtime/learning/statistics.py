"""From times of two sides, taken in turns, to a speedup and how sure it is. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import median

from .regions import SLOWEST, Sizes, TimedPoint

_RESAMPLES = 400


def point_of(
    axes: Sizes, baseline_s: Sequence[float], kernel_s: Sequence[float], same_bits: bool
) -> TimedPoint:
    """A point from paired times in seconds: the median of the ratios, and its bootstrap interval.

    Raises:
        ValueError: Not as many times of one side as of the other, or none.
    """
    logs = [math.log(b / k) for b, k in zip(baseline_s, kernel_s, strict=True)]
    if not logs:
        raise ValueError("no pair was timed")
    drawn = random.Random(len(logs))
    medians = sorted(median(drawn.choices(logs, k=len(logs))) for _ in range(_RESAMPLES))
    edge = _RESAMPLES // 40
    return TimedPoint(
        axes=dict(axes),
        speedup=math.exp(median(logs)),
        low=math.exp(medians[edge]),
        high=math.exp(medians[-edge - 1]),
        chance=sum(value >= math.log(SLOWEST) for value in medians) / _RESAMPLES,
        same_bits=same_bits,
    )
