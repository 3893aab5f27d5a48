"""Where the lines of a text with includes came from, and messages put on them."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

_PLACE = re.compile(r"\bheader:(\d+)")
_SHOWN = re.compile(r"^ *(\d+) \| ", re.MULTILINE)
_CALL = re.compile(r"\bsource:\d+(?::\d+)?")


@dataclass(frozen=True)
class FilePlace:
    """A line of a file, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class FilePlaces:
    """Runs of lines: from which line of the text, and where that line is from."""

    starts: tuple[tuple[int, FilePlace], ...]

    def of(self, line: int) -> FilePlace:
        """Where a line of the text came from."""
        at = bisect_right(self.starts, line, key=lambda start: start[0]) - 1
        first, place = self.starts[max(at, 0)]
        return FilePlace(place.file, place.line + line - first)

    def told(self, message: str) -> str:
        """What the front end or compiler said of the text, on the lines of its files.

        They call the text `header`, and `source` the call that they never show to its author.
        """
        lines = [self._told(line) for line in message.split("\n")]
        for number, line in enumerate(lines[1:], 1):
            if (shown := _SHOWN.match(line)) and lines[number - 1] != message:
                own = self.of(int(shown[1])).line
                lines[number] = f"{own:5} | {line[shown.end() :]}"
        return "\n".join(lines)

    def _told(self, line: str) -> str:
        placed = _PLACE.sub(lambda match: str(self.of(int(match[1]))), line)
        return _CALL.sub(self.starts[0][1].file, placed)
