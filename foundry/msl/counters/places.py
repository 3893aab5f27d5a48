"""Which line of the user's text an instruction came from, by LLVM's debug metadata. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PARTS = ("header", "source")
_NODE = re.compile(r"!(\d+) = (?:distinct )?!DI(\w+)\((.*)\)")
_LINE = re.compile(r"\bline: (\d+)")
_SCOPE = re.compile(r"\bscope: !(\d+)")
_INLINED = re.compile(r"\binlinedAt: !(\d+)")
_FILE = re.compile(r"\bfile: !(\d+)")
_NAME = re.compile(r'\bfilename: "([^"]*)"')


@dataclass(frozen=True)
class DebugLines:
    """The metadata of a module, by number."""

    nodes: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, lines: Sequence[str]) -> DebugLines:
        """From the text of the module."""
        found = (_NODE.match(line) for line in lines if line.startswith("!"))
        return cls({node[1]: (node[2], node[3]) for node in found if node})

    def line(self, number: str) -> tuple[int, int]:
        """Index in `PARTS` and line of a `!dbg` location; line 0 where no user's text is near.

        Inlined code of the prelude is on the line that called it.
        """
        at: str | None = number
        while at is not None and at in self.nodes:
            _, fields = self.nodes[at]
            line, scope = _LINE.search(fields), _SCOPE.search(fields)
            file = self._file(scope[1]) if scope else ""
            if line and line[1] != "0" and file in PARTS:
                return PARTS.index(file), int(line[1])
            inlined = _INLINED.search(fields)
            at = inlined[1] if inlined else None
        return 0, 0

    def _file(self, scope: str) -> str:
        while scope in self.nodes:
            _, fields = self.nodes[scope]
            if file := _FILE.search(fields):
                name = _NAME.search(self.nodes.get(file[1], ("", ""))[1])
                return name[1] if name else ""
            outer = _SCOPE.search(fields)
            if outer is None:
                return ""
            scope = outer[1]
        return ""
