"""Plain aligned tables for a terminal; no colour, no dependency, quick to import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_GAP = "  "
_SHORTEST = 8


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    right: bool = False
    """Figures are aligned at the right."""
    elastic: bool = False
    """Shortened, with an ellipsis, when the table is wider than the terminal; the last ones are
    left out where that is not enough."""


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> str:
    """Rows under their titles, as lines that fit `width` characters where elastic columns allow.

    Args:
        columns: Titles and alignment.
        rows: One text per column each.
        width: Of the terminal; None: as wide as the longest texts.
    """
    cells = [[column.title for column in columns], *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    if width is not None:
        widths = _fit(columns, widths, width)
        elastic = [i for i, column in enumerate(columns) if column.elastic]
        if elastic and _line_width(widths) > width:
            kept = [i for i in range(len(columns)) if i != elastic[-1]]
            fewer = [[row[i] for i in kept] for row in rows]
            return table([columns[i] for i in kept], fewer, width)
    return "\n".join(_line(columns, row, widths) for row in cells)


def _fit(columns: Sequence[Column], widths: list[int], width: int) -> list[int]:
    """Take from the widest elastic column, a character at a time, until the line fits."""
    fitted = list(widths)
    for _ in range(max(0, _line_width(fitted) - width)):
        elastic = [i for i, c in enumerate(columns) if c.elastic and fitted[i] > _SHORTEST]
        if not elastic:
            break
        fitted[max(elastic, key=lambda i: fitted[i])] -= 1
    return fitted


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _line(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    parts = []
    for column, text, width in zip(columns, row, widths, strict=True):
        shown = text if len(text) <= width else text[: width - 1] + "…"
        parts.append(shown.rjust(width) if column.right else shown.ljust(width))
    return _GAP.join(parts).rstrip()
