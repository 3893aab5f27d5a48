"""Hooks in the compiler's intermediate text that tell the runtime where a lane is and what it does.

1. Every access, collective and call of a function gets a place: a number that grows with program
   order within a function.
2. The header of each loop counts its turns, so that an access is known by its place and the turns
   of the loops around it, whichever way a lane came there.
3. The library carries a table: what is at each place, and on which line of the user's text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from foundry.msl.build.llvm_text import COPY, LENGTH, LOAD, REGISTER, STORE, bytes_of
from foundry.msl.counters.flow import Block, Flow, flow
from foundry.msl.counters.places import DebugLines


class Kind(IntEnum):
    """What happens at a place; `prelude/counters/counters.h` numbers them alike."""

    NONE = 0
    LOAD = 1
    STORE = 2
    ATOMIC_LOAD = 3
    ATOMIC_STORE = 4
    ATOMIC_UPDATE = 5
    COLLECTIVE = 6
    BARRIER = 7
    SIMD_BARRIER = 8


_POINTERS = re.compile(rf"ptr [^,%@]*({REGISTER}|@\S+?)(?=,)")
_ALIGN = re.compile(r"align \d+")
_NOTE = re.compile(rf"\s+.*call void @mf_note_(\w+)\((?:ptr [^,%]*{REGISTER}, i32 \w* ?(\d+))?")
_CALL = re.compile(r"\s+(?:%\S+ = )?(?:tail |notail )?call .*?@(\"[^\"]+\"|[-\w.$]+)\(")
_DEFINED = re.compile(r"define .*?@(\"[^\"]+\"|[-\w.$]+)\(")
_DEBUG = re.compile(r", !dbg !(\d+)")
_WAITS = {
    "mf_sanitized_simd_wait": Kind.COLLECTIVE,
    "mf_sanitized_threadgroup_wait": Kind.BARRIER,
    # Of a kernel that was built for a GPU (foundry/msl/gpu).
    "mf_gpu_shuffle": Kind.COLLECTIVE,
    "mf_gpu_multiply": Kind.COLLECTIVE,
    "mf_gpu_simd_barrier": Kind.SIMD_BARRIER,
    "mf_gpu_barrier": Kind.BARRIER,
}
_ATOMICS = {
    "atomic": Kind.ATOMIC_UPDATE,
    "atomic_load": Kind.ATOMIC_LOAD,
    "atomic_store": Kind.ATOMIC_STORE,
}
_OWN_NAMES = ("simd_wait", "threadgroup_wait")
_DECLARATIONS = """
declare void @mf_count_access(ptr, i64, i32, i32, i32)
declare void @mf_count_wait(i32, i32, i32)
declare void @mf_count_turn(i32, i32, i32)
declare void @mf_count_call(i32, i32)
declare void @mf_count_return(i32)
"""


def counted(text: str) -> str:
    """LLVM text with hooks, and the table `mf_places`.

    Args:
        text: Optimised text of a unit that was compiled with `MF_SANITIZE` and line tables.
    """
    lines = text.split("\n")
    writer = _Writer(lines, DebugLines.of(lines), {m[1] for m in map(_DEFINED.match, lines) if m})
    start = 0
    for number, line in enumerate(lines):
        if line.startswith("define "):
            start = number + 1
        elif line == "}" and start:
            writer.function(flow(lines, start, number))
            start = 0
    result = "\n".join(writer.result())
    for name in _OWN_NAMES:
        result = result.replace(f"@mf_sanitized_{name}", f"@mf_counted_{name}")
    return f"{result}{_table(writer.places)}{_DECLARATIONS}"


def _table(places: Sequence[tuple[Kind, int, int]]) -> str:
    numbers = ", ".join(f"i32 {number}" for place in places for number in place)
    return (
        f"\n@mf_place_count = constant i32 {len(places)}"
        f"\n@mf_places = constant [{3 * len(places)} x i32] [{numbers}]"
    )


@dataclass
class _Writer:
    """Collects what goes before, after and in the place of lines."""

    lines: Sequence[str]
    debug: DebugLines
    defined: set[str]
    places: list[tuple[Kind, int, int]] = field(default_factory=lambda: [(Kind.NONE, 0, 0)])
    _near: dict[int, tuple[int, int]] = field(default_factory=dict)
    _before: dict[int, list[str]] = field(default_factory=dict)
    _after: dict[int, list[str]] = field(default_factory=dict)
    _dropped: set[int] = field(default_factory=set)
    _accessing: set[int] = field(default_factory=set)
    """Lines whose access may go to any address, so that a misaligned one does not crash."""

    def function(self, found: Flow) -> None:
        """Put hooks into one function."""
        for block in found.blocks:
            level = found.level[block.name]
            self._near = self._lines_of(block)
            if block.name in found.again:
                self._loop(block, level - 1, found.again[block.name])
            for number in range(block.first, block.last):
                self._instruction(number, level)

    def result(self) -> list[str]:
        """The lines with the hooks."""
        made: list[str] = []
        for number, line in enumerate(self.lines):
            made += self._before.get(number, ())
            if number not in self._dropped:
                made.append(_ALIGN.sub("align 1", line) if number in self._accessing else line)
            made += self._after.get(number, ())
        return made

    def _loop(self, block: Block, level: int, before: Sequence[tuple[str, bool]]) -> None:
        place = self._place(Kind.NONE, block.first)
        edges = ", ".join(f"[ {int(again)}, {name} ]" for name, again in before)
        self._put(block.first, f"  %mf_again_{place} = phi i32 {edges}")
        number = block.first
        while " = phi " in self.lines[number]:
            number += 1
        turn = f"i32 {level}, i32 {place}, i32 %mf_again_{place}"
        self._put(number, f"  call void @mf_count_turn({turn})")

    def _instruction(self, number: int, level: int) -> None:
        line = self.lines[number]
        accesses = _accesses(line)
        for kind, pointer, length in accesses:
            place = self._place(kind, number)
            what = f"ptr {pointer}, i64 {length}, i32 {kind:d}, i32 {place}, i32 {level}"
            self._put(number, f"  call void @mf_count_access({what})")
            self._accessing.add(number)
        if " call " in line and (called := _CALL.match(line)):
            self._call(number, level, called[1])

    def _call(self, number: int, level: int, name: str) -> None:
        if name.startswith("mf_note_"):
            self._dropped.add(number)
            if name == "mf_note_simd_barrier":
                self._wait(number, level, Kind.SIMD_BARRIER)
        elif name in _WAITS:
            self._wait(number, level, _WAITS[name])
        elif name in self.defined:
            place = self._place(Kind.NONE, number)
            self._put(number, f"  call void @mf_count_call(i32 {level}, i32 {place})")
            self._after.setdefault(number, []).append(f"  call void @mf_count_return(i32 {level})")

    def _wait(self, number: int, level: int, kind: Kind) -> None:
        place = self._place(kind, number)
        self._put(number, f"  call void @mf_count_wait(i32 {kind:d}, i32 {place}, i32 {level})")

    def _put(self, number: int, text: str) -> None:
        self._before.setdefault(number, []).append(text)

    def _place(self, kind: Kind, number: int) -> int:
        self.places.append((kind, *self._near.get(number, (0, 0))))
        return len(self.places) - 1

    def _lines_of(self, block: Block) -> dict[int, tuple[int, int]]:
        """Part and line of each instruction of a block.

        Those that the optimiser made out of several have none: they take the line before them.
        """
        found: dict[int, tuple[int, int]] = {}
        for number in range(block.first, block.last + 1):
            debug = _DEBUG.search(self.lines[number])
            known = self.debug.line(debug[1]) if debug else (0, 0)
            found[number] = known if known[1] else found.get(number - 1, (0, 0))
        first = next((known for known in found.values() if known[1]), (0, 0))
        return {number: known if known[1] else first for number, known in found.items()}


def _accesses(line: str) -> list[tuple[Kind, str, str]]:
    """What a line reads and writes: kind, pointer, length. The prelude tells the atomic ones."""
    if " load " in line and (found := LOAD.match(line)):
        return [(Kind.LOAD, found[2], str(bytes_of(found[1])))]
    if " store " in line and (found := STORE.match(line)):
        return [(Kind.STORE, found[2], str(bytes_of(found[1])))]
    if "@llvm.mem" in line and (found := COPY.match(line)):
        return _copy(found[1], found[2])
    if "@mf_note_atomic" in line and (found := _NOTE.match(line)):
        return [(_ATOMICS[found[1]], found[2], found[3])]
    return []


def _copy(kind: str, arguments: str) -> list[tuple[Kind, str, str]]:
    length = LENGTH.search(arguments)
    pointers = [found[1] for found in _POINTERS.finditer(arguments)]
    if length is None or not pointers:
        return []
    both = [(Kind.STORE, pointers[0])]
    if kind != "set":
        both = [(Kind.LOAD, pointers[1]), *both]
    return [(k, pointer, length[1]) for k, pointer in both if pointer.startswith("%")]
