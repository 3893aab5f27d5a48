"""Member functions called on objects of another address space, in the words of the pass.

clang's pass for `thread` complains of every object outside of `thread`. What counts is what the
kernel's own classes declare (`frontend/refusals/methods.py`): a function that names the object's
space is right, and so is all of the prelude.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from foundry.msl.frontend.refusals import methods

_HEAD = re.compile(r"(?P<part>header|source):(?P<line>\d+):(?P<column>\d+): ")
_SPACED = r"(?:const )?(?P<space>device|threadgroup|constant) (?:const )?(?P<type>[^']*)"
_OBJECT = re.compile(
    rf"error: (?:cannot initialize object parameter of type '[^']*' with .*?"
    rf"|'this' argument to member function '[^']*' has type) '{_SPACED}'"
)
_THIS = "'this' object is in "
_NOTE = re.compile(
    rf"^(?:header|source)[^\n]*: note: candidate [^\n]*?{_THIS}'(?P<space>\w+)'[^\n]*"
    r"\n(?P<shown>[^\n]*)\n(?P<caret>[^\n]*)",
    re.MULTILINE,
)
_CANDIDATE = re.compile(r"(?m)^(?:header|source)[^\n]*: note: candidate (?!.*\(the implicit)[^\n]*")
_COUNTS = re.compile(rf"{_THIS}|requires (?:at (?:least|most) )?\d+ argument|expects \d+ argument")
_UNAVAILABLE = re.compile(rf"error: '(?P<name>[^']+)' is unavailable: {methods.NOT_THREAD}")
_CALL = re.compile(r"\s*(?:(?:\.|->)\s*(?:template\s+)?(?P<name>\w+)|(?P<sign>[(\[]))")
_SIGNS = {"(": "operator()", "[": "operator[]"}
_DECLARED = re.compile(r"operator\s*(?:\(\s*\)|\[\s*\]|[^\s\w(]+|\w+)|\w+")

Told = dict[tuple[str, str], set[str]]


@dataclass(frozen=True)
class _Quoted:
    line: str
    start: int
    end: int


def complaints(log: Sequence[str], unit: str) -> list[str]:
    """The messages of a log that are right to complain of an object's space."""
    told = methods.read(unit)
    if not told:
        return []
    objects = {p for m in log if _OBJECT.search(m) and (p := _called(m)) is not None}
    return [m for m in log if _is_right(m, told, objects)]


def _is_right(message: str, told: Told, objects: set[tuple[str, int]]) -> bool:
    if found := _OBJECT.search(message):
        owner = _class_of(found["type"])
        name = _name_called(message)
        spaces = _spaces(told, owner, name)
        return any(a == owner for a, _ in told) and bool(spaces) and found["space"] not in spaces
    if _THIS in message:
        return _all_of_other_spaces(message, told)
    if found := _UNAVAILABLE.search(message):
        return found["name"].startswith("operator") or _is_of_thread(message, objects)
    return "error: call to unavailable" in message and methods.NOT_THREAD in message


def _all_of_other_spaces(message: str, told: Told) -> bool:
    """Whether nothing but the object's space keeps the kernel's own functions from being called."""
    if not all(_COUNTS.search(candidate) for candidate in _CANDIDATE.findall(message)):
        return False
    found = [(note["space"], _declared(note)) for note in _NOTE.finditer(message)]
    known = [(space, _spaces(told, None, name)) for space, name in found]
    return any(s for _, s in known) and not any(space in s for space, s in known)


def _declared(note: re.Match[str]) -> str:
    """The function that a note points at."""
    at = note["caret"].find("^")
    found = _DECLARED.match(note["shown"], at) if at >= 0 else None
    return re.sub(r"(?<=operator)\s+|\s+(?=[\[\]()])", "", found[0]) if found else ""


def _spaces(told: Told, owner: str | None, name: str | None) -> set[str]:
    """The spaces that a function, or any of its name, has been declared for."""
    wanted = [s for (a, n), s in told.items() if n == name and owner in {None, a}]
    return set().union(*wanted) if wanted else set()


def _class_of(kind: str) -> str:
    """`n::A<float>` as `A`."""
    return re.sub(r"<.*", "", kind).split("::")[-1].removesuffix(" const").strip()


def _place(message: str) -> _Quoted | None:
    """The line that a message quotes, and what it underlines."""
    lines = message.split("\n")
    for n in range(1, len(lines) - 1):
        marks = re.match(r"[\s\d]*\|(?P<marks>\s*(?:~*\^~*).*)", lines[n + 1])
        if marks and "|" in lines[n]:
            caret = lines[n + 1].index("^")
            end = caret + len(re.match(r"\^~*", lines[n + 1][caret:])[0])  # type: ignore[index]
            return _Quoted(lines[n], caret, end)
    return None


def _name_called(message: str) -> str | None:
    place = _place(message)
    call = _CALL.match(place.line, place.end) if place else None
    return None if call is None else call["name"] or _SIGNS[call["sign"]]


def _called(message: str) -> tuple[str, int] | None:
    """The line and column of the function's name in a call on an object of another space."""
    place = _place(message)
    call = _CALL.match(place.line, place.end) if place else None
    if place is None or call is None or call["name"] is None:
        return None
    return place.line, call.start("name")


def _is_of_thread(message: str, objects: set[tuple[str, int]]) -> bool:
    """Whether a function of other spaces alone is called on a named object of `thread`."""
    place = _place(message)
    if place is None or (place.line, place.start) in objects:
        return False
    before = place.line[: place.start].rstrip()
    return before.endswith((".", "->")) and not re.search(r"\bthis\s*->$", before)
