"""What a tenth of the timings finds: the best of those chosen, over the best of all. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from foundry.chips.fitting.accuracy import Cost, grouped
from foundry.chips.fitting.rows import Row

SHARE = 10
"""Of the kernels, one in so many is timed."""
NOISE = 1.15
"""Times that differ by less are equal: the same text differs by up to 1.57 between two sessions."""
FEWEST = 10
"""Groups of fewer kernels say nothing of a tenth."""


@dataclass(frozen=True)
class Tenth:
    """Kernels of one group, with the time of each and the one that is predicted."""

    name: str
    times: Sequence[tuple[float, float]]
    """Predicted, measured."""

    @property
    def timed(self) -> int:
        """Kernels that are timed."""
        return math.ceil(len(self.times) / SHARE)

    @property
    def over_best(self) -> float:
        """The best of those with the least predicted times, over the best of all."""
        chosen = sorted(self.times)[: self.timed]
        return min(us for _, us in chosen) / min(us for _, us in self.times)

    @property
    def by_chance(self) -> float:
        """What as many kernels come to that are drawn blindly, in the middle: their best over that
        of all.
        """
        ordered = sorted(us for _, us in self.times)
        count, missed = len(ordered), 1.0
        for place, us in enumerate(ordered):
            # That none of those drawn is among the fastest up to here.
            missed *= max(count - place - self.timed, 0) / (count - place)
            if missed <= 0.5:
                return us / ordered[0]
        return math.nan

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        return {
            "kernels": self.name,
            "all": len(self.times),
            "timed": self.timed,
            "best_over_best_of_all": self.over_best,
            "of_as_many_drawn_blindly": self.by_chance,
        }

    def line(self) -> str:
        """A row of the table."""
        said = "as good" if self.over_best <= NOISE else "not found"
        figures = f"{self.over_best:.2f} | {self.by_chance:.2f}"
        return f"| {self.name} | {len(self.times)} | {self.timed} | {figures} | {said} |"


HEAD = (
    "| kernels by {} | all | timed | best of them over best of all | of as many drawn blindly | |\n"
    "|---|---|---|---|---|---|"
)


def published(rows: Iterable[Row], left_out: Cost) -> Iterator[Tenth]:
    """Groups of published times that are large enough, ranked without their op.

    Args:
        rows: Of a data set.
        left_out: The model, fitted without the op that it speaks of.
    """
    for group in grouped(rows):
        if len(group) >= FEWEST:
            one = group[0]
            times = [(left_out(row), row.us) for row in group]
            yield Tenth(f"{one.op}, {one.chip}, {one.axes}", times)
