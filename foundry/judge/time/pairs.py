"""Pairs of both sides, A/B/B/A: a drift of the machine hits both alike. Pure but for the batches.

The order of the sides alternates from block to block. Blocks end when more would tell nothing that
matters, or when the time for them is spent.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from foundry.harness.measuring.jobs import TimingPlan
from foundry.judge.time.slopes import Batch, Couple, Lengths, couple

_SPENT_AT_MOST = 4.0
_FIXED_FACTOR, _FIXED_SLACK_US = 2.0, 150.0
_ERROR_OF_MEDIAN = 1.4826 * math.sqrt(math.pi / 2)
"""Standard error of the median of n normal values: so many median deviations over sqrt(n)."""

Pair = tuple[Couple, Couple]
"""Of the baseline and of the kernel."""


@dataclass(frozen=True)
class Line:
    """A side with the lengths of its batches."""

    batch: Batch
    lengths: Lengths

    def couple(self) -> Couple:
        """Run one short and one long batch."""
        return couple(self.batch, self.lengths)


@dataclass(frozen=True)
class Latencies:
    """Times of one call, pair by pair, in microseconds."""

    baseline_us: tuple[float, ...]
    kernel_us: tuple[float, ...]
    fixed_us: float
    """What a batch of the baseline costs once."""


def measure(
    baseline: Line,
    kernel: Line,
    plan: TimingPlan,
    clock: Callable[[], float] = time.perf_counter,
) -> Latencies:
    """Measure both sides, two pairs a block."""
    pairs: list[Pair] = []
    start_s = clock()
    for block in range(plan.blocks):
        pairs += _block(baseline, kernel, swapped=block % 2 == 1)
        spent_s = clock() - start_s
        enough = block + 1 >= plan.min_blocks or spent_s > _SPENT_AT_MOST * plan.budget_s
        if enough and (spent_s > plan.budget_s or is_precise(_slopes(pairs), plan)):
            break
    return latencies(pairs)


def latencies(pairs: Sequence[Pair]) -> Latencies:
    """The times of pairs; a kernel's batch may cost once about what the baseline's does."""
    fixed_us = statistics.median(b.fixed_us for b, _ in pairs)
    most_us = _FIXED_FACTOR * fixed_us + _FIXED_SLACK_US
    return Latencies(
        tuple(b.latency_us for b, _ in pairs),
        tuple(k.doubted_us(most_us) for _, k in pairs),
        fixed_us,
    )


def is_precise(pairs: Sequence[tuple[float, float]], plan: TimingPlan) -> bool:
    """Whether more pairs would tell nothing that matters: how far apart the sides are decides.

    Near 1 the mean must be known to `precision`. Far from it a share of the distance does, and the
    median's error may be read from the median deviation, which a few outliers do not move.
    """
    ratios = [math.log(a / b) for a, b in pairs]
    blocks = [(x + y) / 2 for x, y in zip(ratios[::2], ratios[1::2], strict=True)]
    if len(blocks) < 2:
        return False
    root = math.sqrt(len(blocks))
    if statistics.stdev(blocks) / root < plan.precision:
        return True
    middle = statistics.median(blocks)
    spread = statistics.median(abs(b - middle) for b in blocks)
    return _ERROR_OF_MEDIAN * spread / root < plan.share * abs(middle)


def _slopes(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    return [(b.latency_us, k.latency_us) for b, k in pairs]


def _block(baseline: Line, kernel: Line, *, swapped: bool) -> Iterator[Pair]:
    first, second = (kernel, baseline) if swapped else (baseline, kernel)
    a1, b1, b2, a2 = first.couple(), second.couple(), second.couple(), first.couple()
    for a, b in ((a1, b1), (a2, b2)):
        yield (b, a) if swapped else (a, b)
