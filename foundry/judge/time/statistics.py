"""From raw pairs to a speedup with an interval: paired log-ratios, their median, the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000
_LEVEL = 0.95


@dataclass(frozen=True)
class Speedup:
    """How many times faster the kernel is than the baseline."""

    median: float
    low: float
    """Lower end of the interval."""
    high: float


def speedup(
    baseline_us: Sequence[float],
    kernel_us: Sequence[float],
    seed: int = 0,
    level: float = _LEVEL,
) -> Speedup:
    """Speedup over pairs measured in A/B/B/A blocks: two consecutive pairs make one block.

    The two pairs of a block share its moment, so blocks are resampled, not pairs.

    Raises:
        ValueError: Fewer than two pairs, unequal lengths, or a time that is not positive.
    """
    if len(baseline_us) != len(kernel_us) or len(baseline_us) < 2:
        raise ValueError(f"{len(baseline_us)} and {len(kernel_us)} samples make no pairs")
    if not all(math.isfinite(t) and t > 0 for t in (*baseline_us, *kernel_us)):
        raise ValueError("a sample is zero, negative or not finite")
    ratios = np.log(np.asarray(baseline_us)) - np.log(np.asarray(kernel_us))
    blocks = _blocks(ratios)
    low, high = _interval(blocks, seed, level)
    median = float(np.median(blocks))
    return Speedup(math.exp(median), math.exp(min(low, median)), math.exp(max(high, median)))


def _blocks(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    even = len(ratios) // 2 * 2
    means: NDArray[np.float64] = ratios[:even].reshape(-1, 2).mean(axis=1)
    return means


def _interval(blocks: NDArray[np.float64], seed: int, level: float) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    resamples = _RESAMPLES if level <= _LEVEL else 8 * _RESAMPLES
    picks = rng.integers(0, len(blocks), size=(resamples, len(blocks)))
    medians = np.median(blocks[picks], axis=1)
    tail = (1.0 - level) / 2
    low, high = np.quantile(medians, [tail, 1.0 - tail])
    return float(low), float(high)
