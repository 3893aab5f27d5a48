"""The measuring loop inside a worker: A/B/B/A batches, raw latencies out, no judgement.

Batches are long enough for the clock, calls rotate over the sets of inputs, and the order of the
two sides alternates from block to block, so that a drift of the machine hits both alike.
"""

from __future__ import annotations

import gc
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from foundry.harness.measuring.jobs import TimingPlan

Step = Callable[[], None]
_NS_PER_US = 1e3
_FIRST_CALLS = 2
_MOST_REPEATS = 10_000
_LIKE = 2
_STABLE = 1.05
_TICK_US = 0.01
_DISPATCH_S = 0.003
_ERROR_OF_MEDIAN = 1.4826 * math.sqrt(math.pi / 2)
"""Standard error of the median of n normal values: so many median deviations over sqrt(n)."""


class Rotation:
    """Calls of a kernel that take turns, so that each finds another set of inputs."""

    def __init__(self, calls: Sequence[Step]) -> None:
        self._next = itertools.cycle(calls)

    def run(self, count: int) -> None:
        """Make `count` calls, each of which waits."""
        for call in itertools.islice(self._next, count):
            call()


class Runs(Protocol):
    """Something that can be run many times over."""

    def run(self, count: int) -> None:
        """Run `count` times and wait."""


class Side:
    """One of the two things measured.

    Args:
        calls: What to run.
        batch_us: Shortest stretch between two readings of the clock.
    """

    def __init__(self, calls: Runs, batch_us: float) -> None:
        self._calls = calls
        self._batch_us = batch_us
        self.repeats = 1

    def warm_up(self, limit_s: float) -> None:
        """Call until three batches in a row agree, choosing how many calls fill a batch."""
        self._calls.run(_FIRST_CALLS)
        until = time.perf_counter_ns() + limit_s * 1e9
        recent: list[float] = []
        while time.perf_counter_ns() < until or not recent:
            latency = max(self.batch_us(), _TICK_US)
            self.repeats = max(1, min(_MOST_REPEATS, math.ceil(self._batch_us / latency)))
            recent = [*recent[-2:], latency]
            if len(recent) == 3 and max(recent) <= _STABLE * min(recent):
                break

    def run(self, count: int) -> float:
        """Make `count` calls; how many seconds they took."""
        start = time.perf_counter_ns()
        self._calls.run(count)
        return (time.perf_counter_ns() - start) / 1e9

    def batch_us(self) -> float:
        """Latency of one call in microseconds, averaged over one batch."""
        start = time.perf_counter_ns()
        self._calls.run(self.repeats)
        return (time.perf_counter_ns() - start) / (_NS_PER_US * self.repeats)

    def dispatch_us(self) -> float:
        """Latency of one of many calls that do nothing: the least of a few batches."""
        self.warm_up(_DISPATCH_S)
        return min(self.batch_us() for _ in range(3))


def measure(baseline: Side, kernel: Side, plan: TimingPlan) -> list[tuple[float, float]]:
    """Pairs of (baseline, kernel) latencies in microseconds, two per block."""
    baseline.warm_up(plan.warm_up_s)
    kernel.warm_up(plan.warm_up_s)
    _level(baseline, kernel)
    pairs: list[tuple[float, float]] = []
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for block in range(plan.blocks):
            pairs += _block(baseline, kernel, swapped=block % 2 == 1)
            spent = time.perf_counter() - start
            enough = block + 1 >= plan.min_blocks or spent > 4 * plan.budget_s
            if enough and (spent > plan.budget_s or is_precise(pairs, plan)):
                break
    finally:
        if enabled:
            gc.enable()
    return pairs


def is_precise(pairs: Sequence[tuple[float, float]], plan: TimingPlan) -> bool:
    """Whether more pairs would tell nothing that matters: how far apart the sides are decides.

    Near 1 the mean must be known to `precision`. Far from it a share of the distance does, and the
    median's error may be read from the median deviation, which a few outliers do not move.
    """
    ratios = [math.log(max(a, _TICK_US) / max(b, _TICK_US)) for a, b in pairs]
    blocks = [(x + y) / 2 for x, y in zip(ratios[::2], ratios[1::2], strict=True)]
    if len(blocks) < 2:
        return False
    root = math.sqrt(len(blocks))
    if statistics.stdev(blocks) / root < plan.precision:
        return True
    middle = statistics.median(blocks)
    spread = statistics.median(abs(b - middle) for b in blocks)
    return _ERROR_OF_MEDIAN * spread / root < plan.share * abs(middle)


def _level(a: Side, b: Side) -> None:
    """Give sides of like speed equal batches: what a batch costs once then cancels."""
    most, least = max(a.repeats, b.repeats), min(a.repeats, b.repeats)
    if most <= _LIKE * least:
        a.repeats = b.repeats = most


def _block(baseline: Side, kernel: Side, *, swapped: bool) -> Iterator[tuple[float, float]]:
    first, second = (kernel, baseline) if swapped else (baseline, kernel)
    a1, b1, b2, a2 = first.batch_us(), second.batch_us(), second.batch_us(), first.batch_us()
    for a, b in ((a1, b1), (a2, b2)):
        yield (b, a) if swapped else (a, b)
