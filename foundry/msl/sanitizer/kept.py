"""Stores that the optimiser takes out before they could be checked.

A kernel that reads an element and stores the very same value back writes all the same: to an input,
past the end of an output, where another thread writes. To the optimiser that is no store, so such a
fault would never be seen. `kept` makes every store to an element that is found by an index
volatile, in the text before it is optimised, and `freed` makes them ordinary stores again.

Whatever is reached by a pointer that was loaded may be a buffer. A local array passed to a function
is kept as well, which costs a little time and changes nothing else.
"""

from __future__ import annotations

import re

from foundry.msl.build.llvm_text import REGISTER

_LOADED = re.compile(rf"\s+{REGISTER} = load ptr, ptr ")
_PLACE = re.compile(
    rf"\s+{REGISTER} = getelementptr (?:\w+ )*[^,]+, ptr {REGISTER}((?:, i\d+ [^,]+)+)"
)
_INDEXED = re.compile(rf"^, i\d+ {REGISTER}")
_STORE = re.compile(rf"(\s+)store (.+, ptr {REGISTER}, align \d+)")
_COPY = re.compile(
    rf"\s+call void @llvm\.memcpy\.[^(]*\(ptr align (\d+) {REGISTER}, ptr align (\d+) {REGISTER}, "
    r"i64 ([1248]), i1 false\)"
)
"""Of a number that is a class, such as `bfloat`."""
_VOLATILE = re.compile(r"^\s.*\b(?:load|store) volatile ", re.MULTILINE)


def kept(text: str) -> str:
    """LLVM text, not optimised yet, whose stores to indexed elements stay where they are.

    A text that has volatile accesses of its own is given back as it is.
    """
    if _VOLATILE.search(text):
        return text
    lines: list[str] = []
    pointers: set[str] = set()
    elements: set[str] = set()
    for line in text.split("\n"):
        if line.startswith("define "):
            pointers, elements = set(), set()
        elif found := _LOADED.match(line):
            pointers.add(found[1])
        elif (found := _PLACE.match(line)) and found[2] in pointers:
            pointers.add(found[1])
            if found[2] in elements or _INDEXED.match(found[3]):
                elements.add(found[1])
        elif (found := _STORE.match(line)) and found[3] in elements:
            line = f"{found[1]}store volatile {found[2]}{line[found.end() :]}"
        elif (found := _COPY.match(line)) and found[2] in elements:
            line = _as_store(found, f"%mf.kept{len(lines)}", line[found.end() :])
        lines.append(line)
    return "\n".join(lines)


def _as_store(copy: re.Match[str], register: str, debug: str) -> str:
    to_align, to, of_align, of, count = copy.groups()
    kind = f"i{8 * int(count)}"
    load = f"  {register} = load {kind}, ptr {of}, align {of_align}{debug}"
    return f"{load}\n  store volatile {kind} {register}, ptr {to}, align {to_align}{debug}"


def freed(optimised: str, original: str) -> str:
    """The optimised text of `kept(original)` without its marks."""
    if _VOLATILE.search(original):
        return optimised
    return optimised.replace("store volatile ", "store ")
