"""Stores that the optimiser takes out before they could be checked.

A kernel that reads an element and stores the very same value back writes all the same: to an input,
past the end of an output, where another thread writes. To the optimiser that is no store, so such a
fault would never be seen. `kept` makes stores that may be to a buffer volatile, in the text before
it is optimised, and `freed` makes them ordinary stores again.

In a kernel's own functions every store is kept whose place is no variable of the function, and so
is one to a component of a vector. Other functions of the prelude, which carry no lines, work on
vectors of their caller: there a store is kept to an element that is found by an index, through a
pointer that was loaded. Either way some stores to a
thread's own memory are kept as well, which costs a little time and changes nothing else.
"""

from __future__ import annotations

import re

from foundry.msl.build.llvm_text import REGISTER

_POINTER = re.compile(rf"\s+{REGISTER} = (load|select|phi|call|inttoptr)\b.*? ptr\b")
_PLACE = re.compile(
    rf"\s+{REGISTER} = getelementptr (?:\w+ )*[^,]+, ptr {REGISTER}((?:, i\d+ [^,]+)+)"
)
_INDEXED = re.compile(rf"^, i\d+ {REGISTER}")
_STORE = re.compile(rf"(\s+)store (?!volatile )(.+, ptr {REGISTER}, align \d+)")
_COPY = re.compile(
    rf"\s+call void @llvm\.memcpy\.[^(]*\(ptr align (\d+) {REGISTER}, ptr align (\d+) {REGISTER}, "
    r"i64 (\d+), i1 false\)"
)
"""Of a number or vector that is a class, such as `bfloat`, and of a struct."""
_SETTER = "8set_lane"
"""In the name of what a kernel calls by `v.x = ...`."""
_MOST_COPIED = 256
"""Bytes of a struct that is stored at once."""
_WORD = 8
_VOLATILE = re.compile(r"^\s.*\b(?:load|store) volatile ", re.MULTILINE)


def kept(text: str) -> str:
    """LLVM text, not optimised yet, in which stores that may be to a buffer stay where they are."""
    lines: list[str] = []
    places: _Places = _Places(is_own=False)
    for line in text.split("\n"):
        if line.startswith("define "):
            places = _Places(is_own=" !dbg " in line or _SETTER in line)
        else:
            line = places.marked(line, len(lines))
        lines.append(line)
    return "\n".join(lines)


class _Places:
    """Which registers of a function hold places that may lie in a buffer."""

    def __init__(self, *, is_own: bool) -> None:
        self._is_own = is_own
        """Whether the function is the kernel's, and not the prelude's."""
        self._pointers: set[str] = set()
        self._elements: set[str] = set()

    def marked(self, line: str, number: int) -> str:
        """A line of the function, its store kept where it may be to a buffer."""
        if found := _POINTER.match(line):
            self._found(found[1], is_loaded=found[2] == "load")
        elif (found := _PLACE.match(line)) and found[2] in self._pointers:
            self._pointers.add(found[1])
            if found[2] in self._elements or _INDEXED.match(found[3]):
                self._elements.add(found[1])
        elif (found := _STORE.match(line)) and found[3] in self._elements:
            return f"{found[1]}store volatile {found[2]}{line[found.end() :]}"
        elif (found := _COPY.match(line)) and found[2] in self._elements:
            return _as_store(found, f"%mf.kept{number}", line[found.end() :]) or line
        return line

    def _found(self, register: str, *, is_loaded: bool) -> None:
        if self._is_own:
            self._elements.add(register)
        if self._is_own or is_loaded:
            self._pointers.add(register)


def _as_store(copy: re.Match[str], register: str, debug: str) -> str | None:
    to_align, to, of_align, of, count = copy.groups()
    if int(count) > _MOST_COPIED:
        return None
    is_vector = int(count) > _WORD and int(count) % 4 == 0
    kind = f"<{int(count) // 4} x i32>" if is_vector else f"i{8 * int(count)}"
    load = f"  {register} = load {kind}, ptr {of}, align {of_align}{debug}"
    return f"{load}\n  store volatile {kind} {register}, ptr {to}, align {to_align}{debug}"


def freed(optimised: str, original: str) -> str:
    """The optimised text of `kept(original)` without its marks.

    Where the original has volatile accesses of its own, all stay: a mark does not say whose it is.
    """
    if _VOLATILE.search(original):
        return optimised
    return optimised.replace("store volatile ", "store ")
