"""What a thread's own variables are called: LLVM text has lines and columns, and no names.

The compiler places what starts a variable at its name in the unit that it read.
"""

from __future__ import annotations

import re

from foundry.msl.sanitizer.checks.lines import PARTS

_LOCATION = re.compile(
    r"^!(\d+) = (?:distinct )?!DILocation\(line: (\d+), column: (\d+), scope: !(\d+)", re.MULTILINE
)
_SCOPE = re.compile(
    r"^!(\d+) = (?:distinct )?!DI(?:LexicalBlock|LexicalBlockFile|Subprogram)\([^\n]*?file: !(\d+)",
    re.MULTILINE,
)
_FILE = re.compile(r'^!(\d+) = !DIFile\(filename: "([^"]+)"', re.MULTILINE)
_DEBUG = re.compile(r"!dbg !(\d+)")
_MARKER = re.compile(r'#line (\d+) "(\w+)"')
_NAME = re.compile(r"[A-Za-z_]\w*(?!\w|\s*\()")
"""No macro's name, which would stand in front of parentheses."""


class LocalNames:
    """The names of variables by the places of their starts."""

    def __init__(self, unit: str, text: str) -> None:
        self._lines = _lines_of(unit)
        files = dict(_FILE.findall(text))
        scopes = {scope: files.get(file, "") for scope, file in _SCOPE.findall(text)}
        self._places = {
            number: (scopes.get(scope, ""), int(line), int(column))
            for number, line, column, scope in _LOCATION.findall(text)
        }

    def at(self, debug: str) -> str:
        """The name at a debug location, as an instruction has it; empty where none is known."""
        found = _DEBUG.search(debug)
        part, line, column = self._places.get(found[1] if found else "", ("", 0, 0))
        written = self._lines.get((part, line), "")
        name = _NAME.match(written, column - 1) if column > 0 else None
        return name[0] if name else ""


def _lines_of(unit: str) -> dict[tuple[str, int], str]:
    """The lines of the user's text by part and number."""
    lines: dict[tuple[str, int], str] = {}
    part, number = "", 0
    for line in unit.split("\n"):
        if marker := _MARKER.fullmatch(line):
            part, number = marker[2], int(marker[1])
            continue
        if part in PARTS:
            lines[part, number] = line
        number += 1
    return lines
