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

_SPACED = r"'(?:const )?(?P<space>device|threadgroup|constant) [^']*'"
_OBJECT = re.compile(
    rf"error: cannot initialize object parameter of type '(?P<owner>[^']*)' with .*?{_SPACED}"
)
_NOT_CONST = re.compile(rf"error: 'this' argument to member function '[^']*' has type {_SPACED}")
_HERE = re.compile(
    r"(?m)^(?P<place>(?:header|source):\d+):\d+: note: '(?:[^']*::)?(?P<name>[^':]+)' declared here"
)
_THIS = "'this' object is in "
_NOTE = re.compile(
    rf"^(?P<place>(?:header|source):\d+):[^\n]*: note: candidate [^\n]*?{_THIS}'(?P<space>\w+)'"
    r"[^\n]*\n(?P<shown>[^\n]*)\n(?P<caret>[^\n]*)",
    re.MULTILINE,
)
_CANDIDATE = re.compile(r"(?m)^(?:header|source)[^\n]*: note: candidate (?!.*\(the implicit)[^\n]*")
_COUNTS = re.compile(rf"{_THIS}|requires (?:at (?:least|most) )?\d+ argument|expects \d+ argument")
_UNAVAILABLE = re.compile(rf"error: '(?P<name>[^']+)' is unavailable: {methods.NOT_THREAD}")
_CALL = re.compile(r"\s*(?:(?:\.|->)\s*(?:template\s+)?(?P<name>\w+)|(?P<sign>[(\[]))")
_SIGNS = {"(": "operator()", "[": "operator[]"}
_DECLARED = re.compile(r"operator\s*(?:\(\s*\)|\[\s*\]|[^\s\w(]+|\w+)|\w+")

Told = Sequence[methods.Method]


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
    objects = {
        p
        for m in log
        if (_OBJECT.search(m) or _NOT_CONST.search(m)) and (p := _called(m)) is not None
    }
    return [m for m in log if _is_right(m, told, objects)]


def _is_right(message: str, told: Told, objects: set[tuple[str, int]]) -> bool:
    if found := _OBJECT.search(message):
        spaces = _of_class(told, found["owner"], _name_called(message))
        return bool(spaces) and found["space"] not in spaces
    if found := _NOT_CONST.search(message):
        here = _HERE.search(message)
        spaces = _at(told, here["place"], here["name"]) if here else set()
        return bool(spaces) and found["space"] not in spaces
    if _THIS in message:
        return _all_of_other_spaces(message, told)
    if found := _UNAVAILABLE.search(message):
        return found["name"].startswith("operator") or _is_of_thread(message, objects)
    return "error: call to unavailable" in message and methods.NOT_THREAD in message


def _all_of_other_spaces(message: str, told: Told) -> bool:
    """Whether nothing but the object's space keeps the kernel's own functions from being called."""
    if not all(_COUNTS.search(candidate) for candidate in _CANDIDATE.findall(message)):
        return False
    notes = list(_NOTE.finditer(message))
    known = [(note["space"], _at(told, note["place"], _declared(note))) for note in notes]
    return any(s for _, s in known) and not any(space in s for space, s in known)


def _declared(note: re.Match[str]) -> str:
    """The function that a note points at."""
    at = note["caret"].find("^")
    found = _DECLARED.match(note["shown"], at) if at >= 0 else None
    return re.sub(r"(?<=operator)\s+|\s+(?=[\[\]()])", "", found[0]) if found else ""


def _of_class(told: Told, kind: str, name: str | None) -> set[str]:
    """The spaces that a function of a class, as clang names it, has been declared for."""
    owner = _class_of(kind)
    named = [m for m in told if m.name == name]
    of_owner = [m for m in named if m.owner == owner]
    last = owner.split("::")[-1]
    return _united(of_owner or [m for m in named if m.owner.split("::")[-1] == last])


def _at(told: Told, place: str, name: str) -> set[str]:
    """The spaces of the functions that are declared under a name on a line.

    Those of the name wherever it is where macros or templates hide the line.
    """
    named = [m for m in told if m.name == name]
    return _united([m for m in named if m.place == place] or named)


def _united(found: Sequence[methods.Method]) -> set[str]:
    return set().union(*(method.spaces for method in found))


def _class_of(kind: str) -> str:
    """`n::A<B<float>>::C` as `n::A::C`."""
    while (shorter := re.sub(r"<[^<>]*>", "", kind)) != kind:
        kind = shorter
    kind = kind.replace("(anonymous namespace)::", "")
    return kind.removeprefix("const ").removesuffix(" const").strip()


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
