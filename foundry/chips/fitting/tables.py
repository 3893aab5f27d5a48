"""The accuracy of the chip model as Markdown, for docs/chip-model.md. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from foundry.chips.fitting.accuracy import (
    CLASSES,
    Cost,
    Pair,
    first_choice,
    rules_of_thumb,
    score,
    spearman,
)
from foundry.chips.fitting.refit import APART, Data

_MOST_WRONG = 12


def tables(data: Data) -> str:
    """All tables."""
    return "\n".join(
        [
            *_ways(data),
            "",
            *_parts("op and chip", _by_op(data), data),
            "",
            *_parts("times differ by", _by_class(data), data),
            "",
            *_wrong(data),
        ]
    )


def _ways(data: Data) -> Iterator[str]:
    yield f"{len(data.pairs)} pairs of {len(data.rows)} published times."
    yield ""
    yield "| ranked by | answered | right | Spearman | first choice over best |"
    yield "|---|---|---|---|---|"
    ways: dict[str, tuple[Cost, float]] = {
        "the model, its op left out": (data.left_out, APART),
        "the model, answering always": (data.left_out, 1.0),
    }
    ways |= {name: (cost, 1.0) for name, cost in rules_of_thumb(data.profiles).items()}
    for name, (cost, apart) in ways.items():
        found = score(data.pairs, cost, apart)
        yield (
            f"| {name} | {found.share_answered:.1%} | {found.share_right:.1%}"
            f" | {spearman(data.rows, cost):.2f} | {first_choice(data.rows, cost):.2f} |"
        )


def _by_op(data: Data) -> dict[str, list[Pair]]:
    parts: dict[str, list[Pair]] = {}
    for pair in data.pairs:
        parts.setdefault(f"{pair.slow.op}, {pair.slow.chip}", []).append(pair)
    return dict(sorted(parts.items()))


def _by_class(data: Data) -> dict[str, list[Pair]]:
    return {
        f"{low:g} to {high:g}" if high < math.inf else f"more than {low:g}": [
            pair for pair in data.pairs if low < pair.ratio <= high
        ]
        for low, high in CLASSES
    }


def _parts(name: str, parts: dict[str, list[Pair]], data: Data) -> Iterator[str]:
    rules = rules_of_thumb(data.profiles)
    yield f"| {name} | pairs | answered | right | {' | '.join(rules)} |"
    yield "|---|---|---|---|" + "---|" * len(rules)
    for part, pairs in parts.items():
        found = score(pairs, data.left_out, APART)
        others = " | ".join(f"{score(pairs, rule).share_right:.0%}" for rule in rules.values())
        yield (
            f"| {part} | {found.pairs} | {found.share_answered:.0%} | {found.share_right:.0%}"
            f" | {others} |"
        )


def _wrong(data: Data) -> Iterator[str]:
    yield "Kernels that it takes for faster than they are, in pairs that it gets wrong:"
    yield ""
    for (name, chip), count in _taken_for_fast(data.pairs, data.left_out).most_common(_MOST_WRONG):
        yield f"- {name} on {chip}: {count}"


def _taken_for_fast(pairs: Sequence[Pair], cost: Cost) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        if cost(pair.fast) > APART * cost(pair.slow):
            row = pair.slow
            found[f"`{row.op}/{row.kernel}` {row.constants}".strip(), row.chip] += 1
    return found
