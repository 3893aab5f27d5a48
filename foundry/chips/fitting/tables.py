"""The accuracy of the chip model as Markdown, for docs/chip-model.md. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from foundry.chips.fitting.comparison import Comparison, Part
from foundry.chips.fitting.tenth import HEAD

_MOST_WRONG = 12


def tables(found: Comparison) -> str:
    """All tables."""
    return "\n".join(
        [
            *_ways(found),
            "",
            *_parts("op and chip", found.by_op),
            "",
            *_parts("times differ by", found.by_ratio),
            "",
            *_wrong(found),
            "",
            *_tenths(found),
        ]
    )


def _ways(found: Comparison) -> Iterator[str]:
    yield f"{found.pairs} pairs of {found.rows} published times."
    yield ""
    yield "| ranked by | answered | right | Spearman | first choice over best |"
    yield "|---|---|---|---|---|"
    for way in found.ways:
        yield (
            f"| {way.ranked_by} | {way.score.share_answered:.1%} | {way.score.share_right:.1%}"
            f" | {way.spearman:.2f} | {way.first_choice:.2f} |"
        )


def _parts(name: str, parts: Sequence[Part]) -> Iterator[str]:
    rules = parts[0].rules if parts else {}
    yield " | ".join([f"| {name}", "pairs", "answered", "right", *rules]) + " |"
    yield "|---|---|---|---|" + "---|" * len(rules)
    for part in parts:
        found = part.score
        others = " | ".join(map(_share, part.rules.values()))
        yield (
            f"| {part.name} | {found.pairs} | {found.share_answered:.0%} | {found.share_right:.0%}"
            f" | {others} |"
        )


def _share(of: float) -> str:
    return "-" if math.isnan(of) else f"{of:.0%}"


def _tenths(found: Comparison) -> Iterator[str]:
    yield "What timing a tenth of the kernels finds, of the groups of ten or more:"
    yield ""
    yield HEAD.format("published order")
    yield from (tenth.line() for tenth in found.tenths)


def _wrong(found: Comparison) -> Iterator[str]:
    yield "Kernels that it takes for faster than they are, in pairs that it gets wrong:"
    yield ""
    for (kernel, chip), count in itertools.islice(found.wrong.items(), _MOST_WRONG):
        name, _, constants = kernel.partition(" ")
        yield f"- {f'`{name}` {constants}'.strip()} on {chip}: {count}"
