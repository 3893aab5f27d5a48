"""From batches of two lengths to the time of one call: the slope. Pure.

What a batch costs once, whatever it holds (a message, a wait for the GPU), is in both and cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Batch = Callable[[int], float]
"""Runs so many calls and gives the seconds they took together."""

_US_PER_S = 1e6
_PART = 4
_TICK_US = 0.01
_GROWTH = 1.5


@dataclass(frozen=True)
class Lengths:
    """Calls of the two batches."""

    short: int
    long: int


@dataclass(frozen=True)
class Couple:
    """A short and a long batch, one after the other."""

    lengths: Lengths
    short_s: float
    long_s: float

    @property
    def latency_us(self) -> float:
        """Time of one call in microseconds; never 0, so that ratios exist."""
        spent_us = (self.long_s - self.short_s) * _US_PER_S
        return max(spent_us / (self.lengths.long - self.lengths.short), _TICK_US)

    @property
    def fixed_us(self) -> float:
        """What a batch costs once."""
        return max(0.0, self.short_s * _US_PER_S - self.lengths.short * self.latency_us)

    def doubted_us(self, most_fixed_us: float) -> float:
        """Time of one call where a batch may cost no more than so much once.

        What is slow in every first call, whatever for, would else cancel with the fixed cost.
        """
        average_us = (self.long_s * _US_PER_S - most_fixed_us) / self.lengths.long
        return max(self.latency_us, average_us)


def fit(batch: Batch, stretch_us: float, most: int) -> Lengths:
    """Lengths whose longer batch fills a stretch of time, found by running batches.

    It is the side's warm-up too.
    """
    batch(1)
    idle_s = batch(0)
    calls = 1
    while True:
        spent_us = (batch(calls) - idle_s) * _US_PER_S
        if calls >= most or spent_us >= stretch_us:
            return Lengths(calls // _PART, calls)
        wanted = stretch_us / max(spent_us / calls, _TICK_US)
        calls = min(most, max(calls + 1, int(min(wanted * _GROWTH, 8.0 * calls))))


def couple(batch: Batch, lengths: Lengths) -> Couple:
    """One short and one long batch."""
    return Couple(lengths, batch(lengths.short), batch(lengths.long))
