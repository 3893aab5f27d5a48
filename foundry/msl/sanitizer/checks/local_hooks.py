"""Checks of accesses to a thread's own variables, in kernels that may read one before it is set.

A read is checked for the components that are used. A value that is only stored again is no use of
it: what is not set stays so in the copy (`locals` tells which variables are watched).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from foundry.msl.build.llvm_text import (
    LENGTH,
    LOAD,
    REGISTER,
    REGISTERS,
    RESULT,
    STORE,
    VECTOR,
    bytes_of,
)

_WATCHED = "@mf_unset("
_VECTOR = re.compile(VECTOR)
_EXTRACT = re.compile(rf"\s+\S+ = extractelement <\d+ x \w+> {REGISTER}, i\d+ (\d+)")
_SHUFFLE = re.compile(
    rf"\s+\S+ = shufflevector <\d+ x \w+> {REGISTER}, <\d+ x \w+> (?:poison|undef),"
    r" <\d+ x i32> (?:<([^>]*)>|(zeroinitializer))"
)
_CUT = re.compile(rf"\s+\S+ = trunc (?:n[us]w )*i\d+ {REGISTER} to i(\d+)")
_SHIFTED = re.compile(rf"\s+\S+ = lshr (?:exact )?i\d+ {REGISTER}, (\d+)")
_INSERT = re.compile(rf"\s+\S+ = insertelement <\d+ x \w+> {REGISTER}, ")
_STORED = re.compile(rf"\s+store (?:volatile )?<?[^,]*? {REGISTER}, ptr ")
_NUMBER = re.compile(r"i32 (\d+)")
_LARGEST_COPY = 16
"""Bytes whose state fits the mask that a copy carries."""

DECLARATIONS = """
declare preserve_allcc void @mf_local_load(ptr, i64)
declare preserve_allcc void @mf_local_store(ptr, i64)
declare i64 @mf_local_state(ptr, i64)
declare void @mf_local_put(ptr, i64, i64)
declare void @mf_local_copy(ptr, ptr, i64)
"""


class LocalHooks:
    """The checks of one function, whose lines these are."""

    def __init__(self, body: Sequence[str]) -> None:
        self._users: dict[str, list[str]] = {}
        for line in body:
            made = RESULT.match(line)
            for register in set(REGISTERS.findall(line)):
                if made is None or register != made[1]:
                    self._users.setdefault(register, []).append(line)
        self._carried: dict[str, str] = {}

    def of(self, line: str) -> Iterator[str]:
        """Calls before an access, without places; none for other instructions."""
        if load := LOAD.match(line):
            yield from self._load(RESULT.match(line)[1], *load.groups()[:2])  # type: ignore[index]
        elif store := STORE.match(line):
            yield from self._store(line, *store.groups()[:2])

    def _load(self, register: str, kind: str, pointer: str) -> Iterator[str]:
        size, users = bytes_of(kind), self._users.get(register, [])
        if users and size <= _LARGEST_COPY and all(_is_stored(line, register) for line in users):
            self._carried[register] = state = f"%mf.state.{register[1:]}"
            yield f"  {state} = call i64 @mf_local_state(ptr {pointer}, i64 {size})"
            return
        spans = _used(kind, register, users, size)
        if spans is None:
            yield f"  call preserve_allcc void @mf_local_load(ptr {pointer}, i64 {size})"
            return
        for start, length in sorted(spans):
            place = f"%mf.lane.{register[1:]}.{start}.{length}"
            yield f"  {place} = getelementptr i8, ptr {pointer}, i64 {start}"
            yield f"  call preserve_allcc void @mf_local_load(ptr {place}, i64 {length})"

    def _store(self, line: str, kind: str, pointer: str) -> Iterator[str]:
        size, stored = bytes_of(kind), _STORED.match(line)
        if stored and stored[1] in self._carried:
            state = self._carried[stored[1]]
            yield f"  call void @mf_local_put(ptr {pointer}, i64 {size}, i64 {state})"
        else:
            yield f"  call preserve_allcc void @mf_local_store(ptr {pointer}, i64 {size})"


def is_watched(text: str) -> bool:
    """Whether a text has variables that are watched."""
    return _WATCHED in text


def copied(kind: str, target: str, source: str | None, arguments: str) -> Iterator[str]:
    """The call before a copy or a fill of memory."""
    length = LENGTH.search(arguments)
    if length is None:
        return
    if kind == "set" or source is None:
        yield f"  call preserve_allcc void @mf_local_store(ptr {target}, i64 {length[1]})"
    else:
        yield f"  call void @mf_local_copy(ptr {target}, ptr {source}, i64 {length[1]})"


def _is_stored(line: str, register: str) -> bool:
    stored = _STORED.match(line)
    return stored is not None and stored[1] == register


def _used(kind: str, register: str, users: Sequence[str], size: int) -> set[tuple[int, int]] | None:
    """Which bytes of a value are used, as starts and lengths; None: all."""
    if not users:
        return None
    if vector := _VECTOR.match(kind):
        lanes, unit = _lanes_used(register, users), size // int(vector[1])
        return None if lanes is None else {(lane * unit, unit) for lane in lanes}
    return _parts_used(register, users, size) if kind.startswith("i") else None


def _lanes_used(register: str, users: Sequence[str]) -> set[int] | None:
    """Which components of a vector are used; None: all."""
    lanes: set[int] = set()
    for line in users:
        if (taken := _EXTRACT.match(line)) and taken[1] == register:
            lanes.add(int(taken[2]))
        elif (mixed := _SHUFFLE.match(line)) and mixed[1] == register:
            lanes |= {0} if mixed[3] else set(map(int, _NUMBER.findall(mixed[2])))
        elif not ((kept := _INSERT.match(line)) and kept[1] == register):
            return None
    return lanes


def _parts_used(register: str, users: Sequence[str], size: int) -> set[tuple[int, int]] | None:
    """Which bytes of an integer are used that is a small struct as it is passed on; None: all."""
    parts: set[tuple[int, int]] = set()
    for line in users:
        if (cut := _CUT.match(line)) and cut[1] == register and not int(cut[2]) % 8:
            parts.add((0, int(cut[2]) // 8))
        elif (shifted := _SHIFTED.match(line)) and shifted[1] == register:
            start = int(shifted[2]) // 8
            parts.add((start, size - start))
        else:
            return None
    return parts
