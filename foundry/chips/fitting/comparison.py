"""How the model ranks a data set, part by part, beside rules of thumb. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from foundry.chips.fitting.accuracy import (
    CLASSES,
    Cost,
    Pair,
    RankScore,
    first_choice,
    rules_of_thumb,
    score,
    spearman,
)
from foundry.chips.fitting.refit import APART, Data
from foundry.chips.fitting.tenth import Tenth, published


@dataclass(frozen=True)
class Way:
    """A way to rank kernels, held against all pairs."""

    ranked_by: str
    score: RankScore
    spearman: float
    first_choice: float


@dataclass(frozen=True)
class Part:
    """The model on some of the pairs; a rule of thumb with its share of right answers."""

    name: str
    score: RankScore
    rules: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """All that is said of the accuracy of the model."""

    rows: int
    pairs: int
    ways: tuple[Way, ...]
    by_op: tuple[Part, ...]
    by_ratio: tuple[Part, ...]
    """Of the two times of a pair."""
    wrong: Mapping[tuple[str, str], int]
    """Wrong pairs by kernel and chip of the one taken for faster than it is, most first."""
    tenths: tuple[Tenth, ...]
    """What timing a tenth of the kernels finds."""

    def document(self) -> dict[str, Any]:
        """What `--json` prints of it."""
        return {
            "rows": self.rows,
            "pairs": self.pairs,
            "ways": [_way(way) for way in self.ways],
            "by_op": [_part(part) for part in self.by_op],
            "by_ratio": [_part(part) for part in self.by_ratio],
            "wrong": [
                {"kernel": kernel, "chip": chip, "pairs": count}
                for (kernel, chip), count in self.wrong.items()
            ],
            "tenths": [one.document() for one in self.tenths],
        }


def compare(data: Data) -> Comparison:
    """The model, fitted without the op that it speaks of, against published times."""
    return Comparison(
        len(data.rows),
        len(data.pairs),
        tuple(_ways(data)),
        tuple(_parts(_by_op(data), data)),
        tuple(_parts(_by_ratio(data), data)),
        _taken_for_fast(data),
        tuple(published(data.rows, data.left_out)),
    )


def _ways(data: Data) -> Iterator[Way]:
    ways: dict[str, tuple[Cost, float]] = {
        "the model, its op left out": (data.left_out, APART),
        "the model, answering always": (data.left_out, 1.0),
    }
    ways |= {name: (cost, 1.0) for name, cost in rules_of_thumb(data.profiles).items()}
    for name, (cost, apart) in ways.items():
        found = score(data.pairs, cost, apart)
        yield Way(name, found, spearman(data.rows, cost), first_choice(data.rows, cost))


def _by_op(data: Data) -> dict[str, list[Pair]]:
    parts: dict[str, list[Pair]] = {}
    for pair in data.pairs:
        parts.setdefault(f"{pair.slow.op}, {pair.slow.chip}", []).append(pair)
    return dict(sorted(parts.items()))


def _by_ratio(data: Data) -> dict[str, list[Pair]]:
    return {
        f"{low:g} to {high:g}" if high < math.inf else f"more than {low:g}": [
            pair for pair in data.pairs if low < pair.ratio <= high
        ]
        for low, high in CLASSES
    }


def _parts(parts: Mapping[str, list[Pair]], data: Data) -> Iterator[Part]:
    rules = rules_of_thumb(data.profiles)
    for name, pairs in parts.items():
        shares = {rule: score(pairs, cost).share_right for rule, cost in rules.items()}
        yield Part(name, score(pairs, data.left_out, APART), shares)


def _taken_for_fast(data: Data) -> dict[tuple[str, str], int]:
    found: Counter[tuple[str, str]] = Counter()
    for pair in data.pairs:
        if data.left_out(pair.fast) > APART * data.left_out(pair.slow):
            row = pair.slow
            found[f"{row.op}/{row.kernel} {row.constants}".strip(), row.chip] += 1
    return dict(found.most_common())


def _way(way: Way) -> dict[str, Any]:
    found = {"spearman": way.spearman, "first_choice_over_best": way.first_choice}
    return {"ranked_by": way.ranked_by, **_score(way.score), **found}


def _part(part: Part) -> dict[str, Any]:
    return {"name": part.name, **_score(part.score), "rules_right": dict(part.rules)}


def _score(found: RankScore) -> dict[str, Any]:
    return {**vars(found), "share_answered": found.share_answered, "share_right": found.share_right}
