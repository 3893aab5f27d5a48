"""The line of an access that the optimiser moved, and that therefore has none of its own.

What is read before a loop instead of in it has no place of its own any more. What uses the value
has: for a read that is the first instruction that takes it, for a write the one that made it.
"""

from __future__ import annotations

import re

from foundry.msl.build.llvm_text import REGISTERS, RESULT

_DEBUG = re.compile(r", !dbg !(\d+)")
_NOWHERE = re.compile(r"^!(\d+) = (?:distinct )?!DILocation\(line: 0,", re.MULTILINE)
_LINE = re.compile(
    r"^!(\d+) = (?:distinct )?!DILocation\(line: (\d+),.*?scope: (!\d+)", re.MULTILINE
)
_FARTHEST = 4
"""Steps from an access along the values that hang on it."""


class Places:
    """Debug locations in an LLVM text."""

    def __init__(self, text: str) -> None:
        self._nowhere = set(_NOWHERE.findall(text))
        self._lines = {number: (line, scope) for number, line, scope in _LINE.findall(text)}

    def line(self, debug: str) -> tuple[str, str]:
        """The line of a location as it is written, and the scope that the line is in."""
        found = _DEBUG.search(debug)
        return self._lines.get(found[1] if found else "", ("", debug))

    def near(self, lines: list[str], number: int) -> str:
        """The location of an instruction, or of the nearest that hangs on it; as it is written."""
        if own := self._of(lines[number]):
            return own
        made = RESULT.match(lines[number])
        found = self._use(lines, number, made[1]) if made else self._maker(lines, number)
        if found:
            return found
        written = _DEBUG.search(lines[number])
        return written[0] if written else ""

    def _of(self, line: str) -> str:
        found = _DEBUG.search(line)
        return found[0] if found and found[1] not in self._nowhere else ""

    def _use(self, lines: list[str], number: int, register: str) -> str:
        """Forwards, along the values made of this one."""
        values = {register}
        for _ in range(_FARTHEST):
            made: set[str] = set()
            for line in _body(lines, number):
                if values.isdisjoint(REGISTERS.findall(line)):
                    continue
                if found := self._of(line):
                    return found
                if result := RESULT.match(line):
                    made.add(result[1])
            values = made - values
        return ""

    def _maker(self, lines: list[str], number: int) -> str:
        """Backwards, along the values that this one is made of."""
        makers = {m[1]: line for line in _body(lines, number) if (m := RESULT.match(line))}
        values = REGISTERS.findall(lines[number])
        for _ in range(_FARTHEST):
            known = [makers[value] for value in values if value in makers]
            if found := next(filter(None, map(self._of, known)), ""):
                return found
            values = [value for line in known for value in REGISTERS.findall(line)]
        return ""


def _body(lines: list[str], number: int) -> list[str]:
    """The function that a line is in."""
    start = next(n for n in range(number, -1, -1) if lines[n].startswith("define "))
    return lines[start : lines.index("}", number)]
