"""Keeps apart what differs by address space alone: overloads, and specialisations of classes.

Metal tells `at(device T*)` from `at(threadgroup T*)`. Where a kernel runs all memory is one, and so
would these be. Twins that do the same become one (`twins`). Those that do not get names of their
own; which of them a call means is asked of the pass that knows the address spaces:

1. `twins_of` finds the functions, `marks_of` has an attribute for each, by which clang tells every
   call that it is chosen for; a token stands on a line of its own, so that a line is a token.
2. `renamed` puts the answers in. A call that means one twin in one instantiation of its template
   and another in the next has no single name, and is refused.
3. Specialisations for `device T*` and the like take a tag in place of the space, where a use of
   the class names the space; a use that does not is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.rewriting import twins
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SIGN, SPACE, Token

_NUMBERS = {"thread": 0, "device": 1, "threadgroup": 3, "constant": 4}
_TOLD = re.compile(r"^(header|source):(\d+):\d+: error: mf_twin_(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Twin:
    """A function that another differs from by address space alone."""

    name: int
    """Index of its name among the tokens."""
    start: int
    """Index of the token that its specifiers begin with."""
    number: int


def twins_of(header: Sequence[Token]) -> list[Twin]:
    """Functions of a header that differ from others by address space, and do something else.

    Raises:
        Refused: for members of a class and operators, which cannot be named apart.
    """
    found: list[Twin] = []
    for group in twins.different(header):
        for first, name in group:
            if name is None:
                reason = (
                    "members, constructors and operators that differ by address space alone must do"
                    " the same here: the cpu engine has one memory"
                )
                raise Refused("header", header[first].line, reason)
            found.append(Twin(name, first, len(found)))
    return found


def marks_of(found: Sequence[Twin]) -> dict[int, str]:
    """What to put in front of every twin, so that clang tells the calls of it."""
    return {
        twin.start: f'__attribute__((diagnose_if(true, "mf_twin_{twin.number}", "error"))) '
        for twin in found
    }


def renamed(
    header: Sequence[Token], body: Sequence[Token], found: Sequence[Twin], told: str
) -> tuple[list[Token], list[Token]]:
    """Both parts with names for the twins, as the pass told where each is called."""
    parts = {"header": list(header), "source": list(body)}
    chosen: dict[tuple[str, int], int] = {}
    for match in _TOLD.finditer(told):
        name = header[found[int(match[3])].name].text
        at = _call(parts[match[1]], int(match[2]), name)
        if at is None or chosen.setdefault((match[1], at), int(match[3])) != int(match[3]):
            line = parts[match[1]][min(int(match[2]), len(parts[match[1]]) - 1)].line
            reason = (
                f"this call of '{name}' means one overload for one address space and another for"
                " the next; give the overloads names of their own"
            )
            raise Refused(match[1], line, reason)
    for twin in found:
        chosen[("header", twin.name)] = twin.number
    for (part, at), number in chosen.items():
        token = parts[part][at]
        parts[part][at] = token._replace(text=f"{token.text}_mf{number}")
    return parts["header"], parts["source"]


def _call(tokens: Sequence[Token], start: int, name: str) -> int | None:
    """The name that is called, from where clang says that the call begins."""
    for at in range(start, min(start + 24, len(tokens))):
        if tokens[at].kind == NAME and tokens[at].text == name:
            return at
        if tokens[at].text in {";", "{", "}"}:
            return None
    return None


def tagged(tokens: Sequence[Token], names: frozenset[str], part: str) -> list[Token]:
    """The tokens with tags for address spaces in the arguments of some class templates.

    Raises:
        Refused: where a use of such a class names no space.
    """
    result = list(tokens)
    code = [n for n, t in enumerate(tokens) if t.kind not in (SPACE, COMMENT, DIRECTIVE)]
    text = [tokens[n].text for n in code]
    for at in range(len(text) - 1):
        if text[at] in names and text[at + 1] == "<":
            _tag_arguments(result, code, text, at, part)
    return result


def _tag_arguments(
    result: list[Token], code: list[int], text: list[str], at: int, part: str
) -> None:
    end = _close(text, at + 1)
    for first, last in _arguments(text, at + 2, end):
        words = text[first:last]
        space = next((w for w in words if w in _NUMBERS), None)
        if space is None:
            if any(result[code[n]].kind == NAME for n in range(first, last)) and "*" not in words:
                reason = (
                    f"'{text[at]}' is specialised by address space: name the space in its argument"
                )
                raise Refused(part, result[code[at]].line, reason)
            continue
        star = first + words.index("*") if "*" in words else last
        pointee = [w for w in words[: star - first] if w != space]
        const = ["const"] if space == "constant" and "const" not in pointee else []
        kept = " ".join([*const, *pointee])
        line = result[code[first]].line
        spelt = f"mf::in_space<{_NUMBERS[space]}, {kept}>"
        result[code[first]] = Token(SIGN, spelt, line)
        for n in range(first + 1, star):
            result[code[n]] = Token(SPACE, " ", line)


def _arguments(text: list[str], start: int, end: int) -> Iterator[tuple[int, int]]:
    depth, first = 0, start
    for at in range(start, end + 1):
        if at == end or (text[at] == "," and depth == 0):
            yield first, at
            first = at + 1
        depth += (text[at] in {"<", "(", "["}) - (text[at] in {">", ")", "]"})


def _close(text: list[str], at: int) -> int:
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] == "<") - (text[end] == ">")
        if depth == 0:
            return end
    return len(text)
