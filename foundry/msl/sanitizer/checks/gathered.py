"""One call of the runtime for several reads of one array on one line.

A read of four elements is four accesses with a hook before each, where the plain kernel may have
one vector. Reads between which nothing is stored and nothing waits are brought together: what their
addresses are made of goes before the first, and one hook looks at all addresses. It tells of each
as if it had come alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry.msl.build.llvm_text import REGISTER, REGISTERS, RESULT
from foundry.msl.sanitizer.checks.places import Places

WAYS = ("2_2", "4_4", "8_8", "16_16")
"""Bytes and alignment of the reads that there are such hooks for."""
COUNTS = (4, 2)
"""How many reads a hook looks at, the most first."""
_HOOK = re.compile(
    rf"  call preserve_allcc void @mf_load_({'|'.join(WAYS)})\(ptr {REGISTER}\)(, !dbg !\d+)?$"
)
_ADDRESS = re.compile(rf"\s+{REGISTER} = getelementptr [^%]*ptr {REGISTER}")
_MEMORY = re.compile(r" = (?:load|phi|alloca|landingpad|atomicrmw|cmpxchg|va_arg|invoke) ")
_PURE_CALL = re.compile(r" call [^@(]*@llvm\.(?!mem|masked|lifetime|assume)[^(]*\((?![^)]*\bptr\b)")
_NUMBERED = re.compile(r"%(\d+)\b")
_LABEL = re.compile(r"^(\d+):")
_ANY_LABEL = re.compile(r'(?:[\w.$-]+|"[^"]*"):')
_PARAMETER = re.compile(r"%mf\.r\d+")
_LONGEST = 400
"""Lines between two places where order counts that are looked through at once."""


@dataclass(frozen=True)
class _HookedRead:
    """A hook and the load behind it."""

    hook: str
    load: str
    way: str
    pointer: str
    debug: str
    kind: tuple[str, ...]
    """Reads of one kind may come together: same size, line and array."""

    @property
    def lines(self) -> list[str]:
        return [self.hook, self.load]


_Piece = str | _HookedRead


def gathered(lines: Sequence[str], places: Places) -> list[str]:
    """The lines of a text with hooks, several reads to a hook where that is possible."""
    result: list[str] = []
    start = 0
    for number, line in enumerate(lines):
        if line.startswith("define "):
            result += lines[start:number]
            start = number
        elif line == "}":
            result += _function(lines[start : number + 1], places)
            start = number + 1
    return [*result, *lines[start:]]


def _function(lines: Sequence[str], places: Places) -> list[str]:
    done = _gathered(lines, places)
    return done if len(done) == len(lines) else _named(done)


def _named(lines: Sequence[str]) -> list[str]:
    """With names for registers and labels: numbers have to stand in their order."""
    head, *body = (_NUMBERED.sub(r"%mf.r\1", line) for line in lines)
    unnamed = [f"mf.r{len(_PARAMETER.findall(head))}:"]  # the first block has no label of its own
    start = [] if body and _ANY_LABEL.match(body[0]) else unnamed
    return [head, *start, *(_LABEL.sub(r"mf.r\1:", line) for line in body)]


def _gathered(lines: Sequence[str], places: Places) -> list[str]:
    result: list[str] = []
    segment: list[_Piece] = []
    roots: dict[str, str] = {}
    at = 0
    while at < len(lines):
        line = lines[at]
        if address := _ADDRESS.match(line):
            roots[address[1]] = roots.get(address[2], address[2])
        hook = _HOOK.match(line)
        if hook and at + 1 < len(lines) and " = load " in lines[at + 1]:
            segment.append(_read(hook, lines[at + 1], roots, places))
            at += 1
        elif _is_pure(line):
            segment.append(line)
        else:
            result += _joined(segment)
            segment = []
            result.append(line)
        at += 1
    return [*result, *_joined(segment)]


def declarations() -> str:
    """Of the hooks for several reads."""
    names = (f"mf_loads{count}_{way}" for count in COUNTS for way in WAYS)
    counts = (count for count in COUNTS for _ in WAYS)
    return "\n".join(
        f"declare preserve_allcc void @{name}({', '.join(['ptr'] * count)})"
        for name, count in zip(names, counts, strict=True)
    )


def _read(hook: re.Match[str], load: str, roots: dict[str, str], places: Places) -> _HookedRead:
    way, pointer, debug = hook[1], hook[2], hook[3] or ""
    kind = (way, *places.line(debug), roots.get(pointer, pointer))
    return _HookedRead(hook[0], load, way, pointer, debug, kind)


def _is_pure(line: str) -> bool:
    """Whether an instruction only makes a value of values."""
    if not RESULT.match(line) or _MEMORY.search(line):
        return False
    return " call " not in line or bool(_PURE_CALL.search(line))


def _joined(segment: Sequence[_Piece]) -> Iterator[str]:
    pieces = list(segment)
    while pieces:
        at = next((n for n, p in enumerate(pieces) if isinstance(p, _HookedRead)), len(pieces))
        yield from (p for p in pieces[:at] if isinstance(p, str))
        pieces = pieces[at:]
        if not pieces:
            return
        group = _group(pieces)
        if group.count < COUNTS[-1]:
            yield from pieces[0].lines if isinstance(pieces[0], _HookedRead) else ()
            pieces = pieces[1:]
            continue
        yield from group.before
        yield group.hook
        pieces = [read.load if read in group.reads else read for read in group.after]


@dataclass
class _ReadGroup:
    """Reads that come together, and what goes before and behind their hook."""

    reads: list[_HookedRead]
    before: list[str]
    after: list[_Piece]

    @property
    def count(self) -> int:
        return len(self.reads)

    @property
    def hook(self) -> str:
        first = self.reads[0]
        pointers = ", ".join(f"ptr {read.pointer}" for read in self.reads)
        name = f"mf_loads{self.count}_{first.way}"
        return f"  call preserve_allcc void @{name}({pointers}){first.debug}"


def _group(pieces: Sequence[_Piece]) -> _ReadGroup:
    """The reads that may come together with the first piece, which is one."""
    for most in COUNTS:
        group = _group_of(pieces[:_LONGEST], most)
        if group.count == most:
            group.after += pieces[_LONGEST:]
            return group
    return _ReadGroup([], [], [])


def _group_of(pieces: Sequence[_Piece], most: int) -> _ReadGroup:
    first = pieces[0]
    assert isinstance(first, _HookedRead)
    group = _ReadGroup([], [], [])
    late: set[str] = set()
    for piece in pieces:
        text = piece.load if isinstance(piece, _HookedRead) else piece
        used = set(REGISTERS.findall(text))
        joins = isinstance(piece, _HookedRead) and piece.kind == first.kind and group.count < most
        if isinstance(piece, _HookedRead) and joins and piece.pointer not in late:
            group.reads.append(piece)
        elif isinstance(piece, str) and group.count < most and not used & late:
            group.before.append(piece)
            continue
        group.after.append(piece)
        if made := RESULT.match(text):
            late.add(made[1])
    return group
