"""Which line an instruction came from, without reading debug information.

The compiler writes assembly with `.loc` directives. `annotate` puts a label at each one that names
the user's text and appends a table of labels and lines, so that the loaded library itself says
where every address came from, in the same way for every object format.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

PARTS = ("header", "source")
_FILE = re.compile(r'\s*\.file\s+(\d+)\s+(?:"[^"]*"\s+)?"([^"]+)"')
_LOC = re.compile(r"\s*\.loc\s+(\d+)\s+(\d+)")
_LAST_LINE_BYTES = 1 << 16
"""At most this much code follows the last label; other libraries lie further away."""
_TABLE = """
\t.section {section}
\t.p2align 3
\t.globl {symbol}mf_lines
{symbol}mf_lines:
\t.long {count}
{rows}
"""


@dataclass(frozen=True)
class SourcePlace:
    """A line of the user's text; `part` is `header` or `source`, lines count from 1."""

    part: str
    line: int


def annotate(assembly: str, *, underscore: bool = False) -> str:
    """Assembly with a label for every line of the user's text, and the table `mf_lines`.

    Args:
        assembly: What clang writes with `-S -gline-tables-only`.
        underscore: Whether C names carry a leading underscore (Mach-O).
    """
    files: dict[str, str] = {}
    rows: list[str] = []
    lines: list[str] = []
    for line in assembly.split("\n"):
        lines.append(line)
        if found := _FILE.match(line):
            files[found[1]] = found[2]
        elif (found := _LOC.match(line)) and files.get(found[1]) in PARTS and found[2] != "0":
            label = f"mf_line_{len(rows)}"
            lines.append(f"{label}:")
            part = PARTS.index(files[found[1]])
            rows.append(f"\t.long {label} - {_symbol(underscore)}mf_lines, {part}, {found[2]}")
    section = "__DATA,__const" if underscore else '.rodata,"a",@progbits'
    table = _TABLE.format(
        section=section, symbol=_symbol(underscore), count=len(rows), rows="\n".join(rows)
    )
    return "\n".join(lines) + table


def _symbol(underscore: bool) -> str:
    return "_" if underscore else ""


@dataclass(frozen=True)
class LineTable:
    """Lines by address, sorted; addresses are relative to the table."""

    addresses: tuple[int, ...]
    places: tuple[SourcePlace, ...]

    @classmethod
    def of(cls, rows: Iterator[tuple[int, int, int]]) -> LineTable:
        """From rows of (address, part, line)."""
        ordered = sorted(rows)
        return cls(
            tuple(address for address, _, _ in ordered),
            tuple(SourcePlace(PARTS[part], line) for _, part, line in ordered),
        )

    def place(self, address: int) -> SourcePlace | None:
        """The line of the instruction before a return address; None outside the kernel."""
        index = bisect_right(self.addresses, address - 1) - 1
        if index < 0 or address > self.addresses[-1] + _LAST_LINE_BYTES:
            return None
        return self.places[index]

    def next_place(self, address: int) -> SourcePlace | None:
        """The first line after an address: that of a function's start, from before it."""
        index = bisect_right(self.addresses, address - 1)
        return self.places[index] if index < len(self.places) else None
