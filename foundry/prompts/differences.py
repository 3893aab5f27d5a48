"""A kernel against the one it was made from, as a diff that shows the line that failed. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_HERE = "    <-- line {}"
_AROUND = 1


@dataclass(frozen=True)
class Hunk:
    """One hunk of a unified diff."""

    lines: tuple[str, ...]
    start: int
    """Line of the new text at which it starts."""

    @property
    def end(self) -> int:
        """Line of the new text behind it."""
        return self.start + sum(not line.startswith("-") for line in self.lines[1:])

    def distance(self, line: int) -> int:
        """Lines between it and a line of the new text; 0 where it holds it."""
        return max(self.start - line, line - self.end + 1, 0)

    def around(self, line: int, most: int) -> Hunk:
        """As many of its lines as that, those next to a line of the new text."""
        if len(self.lines) <= most:
            return self
        olds = [n for n, text in enumerate(self.lines) if n and not text.startswith("-")]
        middle = olds[min(max(line - self.start, 0), len(olds) - 1)] if olds else 1
        first = min(max(1, middle - most // 2), len(self.lines) - most + 1)
        start = self.start + sum(not text.startswith("-") for text in self.lines[1:first])
        return Hunk((self.lines[0], *self.lines[first : first + most - 1]), start)

    def marked(self, line: int) -> Hunk:
        """The hunk with a line of the new text pointed at."""
        at, shown = self.start, [self.lines[0]]
        for text in self.lines[1:]:
            is_old = text.startswith("-")
            shown.append(text + _HERE.format(line) if at == line and not is_old else text)
            at += not is_old
        return Hunk(tuple(shown), self.start)


def changes(parent: str, child: str, *, failed: int | None = None, lines: int = 60) -> str:
    """The child as a unified diff against its parent.

    Args:
        parent: Text of the kernel it was made from.
        child: Its own text.
        failed: Line of the child on which it failed: it is pointed at, shown even where it was not
            changed, and what lies near it is kept first.
        lines: Of the diff, about: hunks further away are left out whole.
    """
    hunks = list(_hunks(parent, child))
    if failed is not None:
        if not any(hunk.distance(failed) == 0 for hunk in hunks):
            hunks += _excerpt(child, failed)
        hunks = [hunk.marked(failed) for hunk in hunks]
        hunks.sort(key=lambda hunk: hunk.distance(failed))
    of = sum(len(hunk.lines) for hunk in hunks)
    if failed is not None and hunks:
        hunks[0] = hunks[0].around(failed, lines)
    kept: list[Hunk] = []
    room = lines
    for hunk in hunks:
        if kept and len(hunk.lines) > room:
            continue
        kept.append(hunk)
        room -= len(hunk.lines)
    return _joined(kept, of, lines)


def _joined(kept: list[Hunk], of: int, most: int) -> str:
    kept = sorted(kept, key=lambda hunk: hunk.start)
    shown = [line for hunk in kept for line in hunk.lines][: max(most, 1)]
    left = of - len(shown)
    return "\n".join(shown) + (f"\n({left} more lines)" if left > 0 else "")


def _hunks(parent: str, child: str) -> Iterator[Hunk]:
    diff = difflib.unified_diff(parent.splitlines(), child.splitlines(), lineterm="", n=_AROUND)
    held: list[str] = []
    for line in list(diff)[2:]:
        if line.startswith("@@") and held:
            yield _hunk(held)
            held = []
        held.append(line.rstrip("\n"))
    if held:
        yield _hunk(held)


def _hunk(lines: list[str]) -> Hunk:
    found = _HUNK.match(lines[0])
    assert found is not None, f"'{lines[0]}' opens no hunk"
    return Hunk(tuple(lines), int(found[1]))


def _excerpt(text: str, line: int) -> list[Hunk]:
    """A line that was not changed, with what is around it."""
    whole = text.splitlines()
    if not 1 <= line <= len(whole):
        return []
    first = max(1, line - _AROUND)
    shown = [f" {one}" for one in whole[first - 1 : line + _AROUND]]
    return [Hunk((f"@@ unchanged, line {first} @@", *shown), first)]
