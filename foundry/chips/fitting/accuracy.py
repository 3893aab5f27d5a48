"""How often the model is right about which of two kernels is faster, and rules of thumb beside it.

A pair is two kernels of one op on one chip over the same sizes, from one source, whose times differ
by more than the noise between two sessions (`APART`).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from foundry.chips.constants import Constants
from foundry.chips.fitting.rows import Row
from foundry.chips.model import seconds
from foundry.msl.gpu.profile import GpuProfile, LaunchProfile

APART = 1.6
"""The same text in two sessions differs by 1.00 to 1.57 times."""
CLASSES = ((APART, 2.5), (2.5, 5.0), (5.0, math.inf))
"""Of the ratio of two times."""
Cost = Callable[[Row], float]


@dataclass(frozen=True)
class Pair:
    """Two rows whose times differ; the first is slower."""

    slow: Row
    fast: Row

    @property
    def ratio(self) -> float:
        """Of the times, above 1."""
        return self.slow.us / self.fast.us


def pairs(rows: Iterable[Row]) -> Iterator[Pair]:
    """All pairs that teach something."""
    for group in grouped(rows):
        for one, other in itertools.combinations(group, 2):
            slow, fast = (one, other) if one.us > other.us else (other, one)
            if slow.us > APART * fast.us:
                yield Pair(slow, fast)


def grouped(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that may be compared with each other."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return [group for group in groups.values() if len(group) > 1]


@dataclass(frozen=True)
class RankScore:
    """Of a way to rank kernels."""

    pairs: int
    answered: int
    right: int

    @property
    def share_right(self) -> float:
        """Of the pairs that it answers."""
        return self.right / self.answered if self.answered else math.nan

    @property
    def share_answered(self) -> float:
        """Of all pairs."""
        return self.answered / self.pairs if self.pairs else math.nan


def score(taken: Sequence[Pair], cost: Cost, apart: float = 1.0) -> RankScore:
    """How a cost ranks pairs; nothing is said of two whose costs differ by less than `apart`."""
    answered = right = 0
    for pair in taken:
        slow, fast = cost(pair.slow), cost(pair.fast)
        if max(slow, fast) > apart * min(slow, fast):
            answered += 1
            right += slow > fast
    return RankScore(len(taken), answered, right)


def spearman(rows: Iterable[Row], cost: Cost) -> float:
    """The median rank correlation within groups of at least four."""
    found = []
    for group in grouped(rows):
        if len(group) >= 4:
            times, costs = _ranks([row.us for row in group]), _ranks([cost(row) for row in group])
            found.append(statistics.correlation(times, costs) if len(set(costs)) > 1 else 0.0)
    return statistics.median(found) if found else math.nan


def _ranks(values: Sequence[float]) -> list[float]:
    """Places in order; those that are equal share the mean of theirs."""
    return [
        sum(other < value for other in values) + (values.count(value) - 1) / 2 for value in values
    ]


def first_choice(rows: Iterable[Row], cost: Cost) -> float:
    """The median of the time of the first choice over that of the best, over groups."""
    found = [min(group, key=cost).us / min(row.us for row in group) for group in grouped(rows)]
    return statistics.median(found) if found else math.nan


def predicted(profiles: Mapping[str, GpuProfile], constants: Callable[[Row], Constants]) -> Cost:
    """The model as a cost."""
    kept: dict[tuple[str, ...], float] = {}

    def cost(row: Row) -> float:
        key = (row.key, row.chip, str(row.cores), row.op)
        if key not in kept:
            kept[key] = seconds(profiles[row.key], row.speeds, constants(row))
        return kept[key]

    return cost


def rules_of_thumb(profiles: Mapping[str, GpuProfile]) -> dict[str, Cost]:
    """What people go by: bytes, lines touched, fewest barriers."""

    def summed(count: Callable[[LaunchProfile], float]) -> Cost:
        return lambda row: sum(map(count, profiles[row.key].launches)) + 1e-9

    return {
        "bytes": summed(lambda p: sum(r.sectors for r in (*p.loads, *p.stores))),
        "lines touched": summed(lambda p: sum(r.touches for r in (*p.loads, *p.stores))),
        "fewest barriers": summed(lambda p: p.work.get("barrier", 0.0)),
    }
