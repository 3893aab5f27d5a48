"""In which address spaces the objects of member functions may lie.

A member function that says nothing works on an object in `thread`, `float g() const device` on one
in `device`. clang has no such functions in C++, so they lose the words, and the text to judge ends
with a comment for each: `// method A.g device thread`. Functions that no `thread` object has are
made unavailable, by a macro that only the pass for `thread` gives a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import NAME, SPACE, Token

SPACES = {"device", "thread", "threadgroup", "constant"}
_QUALIFIERS = SPACES | {"const", "volatile", "noexcept"}
_AFTER_HEAD = {"{", ":", ";", "->", "=", "override", "final"}
_CLASSES = {"struct", "class", "union"}
_LINE = re.compile(r"(?m)^// method (\S+)\.(\S+) ([a-z ]+)$")
_DERIVED = re.compile(
    r"\b(?:struct|class) (\w+) (?:final )?: (?:(?:public|private|protected) )?(?:\w+ :: )*(\w+)"
)
NOT_THREAD = "MF_NOT_THREAD"


def stated(tokens: Sequence[Token]) -> dict[tuple[str, str], set[str]]:
    """Class and name of each function of an object, and the spaces that its declarations name."""
    code = Code(tokens)
    found: dict[tuple[str, str], set[str]] = {}
    for owner, name, _, spaces in _methods(code):
        if name != owner:
            found.setdefault((owner, name), set()).update(spaces or {"thread"})
    for derived, base in _DERIVED.findall(" ".join(code.text)) if found else ():
        inherited = {name: spaces for (owner, name), spaces in found.items() if owner == base}
        for name, spaces in inherited.items():
            found.setdefault((derived, name), spaces)
    return found


def without_spaces(tokens: Sequence[Token]) -> list[Token]:
    """As many tokens, without the spaces of member functions."""
    code = Code(tokens)
    told = stated(tokens)
    changed: dict[int, str] = {}
    for owner, name, (start, end), spaces in _methods(code):
        for n in range(start, end):
            if code.text[n] in SPACES:
                changed[code.at[n]] = _in_its_place(code, n, (start, end), name == owner)
        if spaces and "thread" not in told.get((owner, name), {"thread"}):
            last = code.at[end - 1]
            changed[last] = f"{changed.get(last, code.text[end - 1])} {NOT_THREAD}"
    return [_spelt(t, changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _in_its_place(code: Code, at: int, words: tuple[int, int], is_constructor: bool) -> str:
    """What stands for a space: nothing, or the `const` that goes with `constant`."""
    is_constant = code.text[at] == "constant" and "const" not in code.text[slice(*words)]
    return "const" if is_constant and not is_constructor else " "


def _spelt(token: Token, text: str) -> Token:
    return token._replace(kind=token.kind if text.strip() else SPACE, text=text)


def comments(told: dict[tuple[str, str], set[str]]) -> str:
    """The lines that a text ends with."""
    lines = (
        f"// method {a}.{name} {' '.join(sorted(told[a, name]))}\n" for a, name in sorted(told)
    )
    return "".join(lines)


def read(text: str) -> dict[tuple[str, str], set[str]]:
    """What `comments` wrote at the end of a text."""
    return {(a, name): set(spaces.split()) for a, name, spaces in _LINE.findall(text)}


def _methods(code: Code) -> Iterator[tuple[str, str, tuple[int, int], set[str]]]:
    """Class, name, where the words after the parameters stand, and the spaces among them."""
    owners: list[str | None] = []
    first = at = 0
    while at < len(code.text):
        text = code.text[at]
        if text == "{":
            owners.append(_class_name(code, first, at))
            first = at + 1
        elif text == "}":
            owners = owners[:-1]
            first = at + 1
        elif text == ";":
            first = at + 1
        elif text in "([" and at in code.partner:
            end = code.partner[at]
            owner = owners[-1] if owners else None
            name = _name(code, first, at) if text == "(" and code.text[at - 1] != "operator" else ""
            if owner and (words := _words_after(code, end)) is not None:
                yield owner, name or owner, words, SPACES & set(code.text[slice(*words)])
            at = end
        at += 1


def _class_name(code: Code, first: int, at: int) -> str | None:
    """The class whose braces open, and None for other braces."""
    depth = 0
    for n in range(first, at):
        text = code.text[n]
        depth += (text == "<") - (text == ">")
        if text == "(":
            return None
        if depth == 0 and text in _CLASSES:
            named = _past_attributes(code, n + 1)
            return code.text[named] if code.kind[named] == NAME else None
    return None


def _past_attributes(code: Code, at: int) -> int:
    """The token after `alignas(16)`, `__attribute__((packed))`, `[[...]]`."""
    while code.text[at] in {"alignas", "__attribute__", "["}:
        opening = at if code.text[at] == "[" else at + 1
        at = code.partner.get(opening, opening) + 1
    return at


def _name(code: Code, first: int, at: int) -> str:
    """What is declared: `g`, `operator+=`; empty for what is called on no object."""
    while code.text[first] == "template" and (end := code.angle_end(first + 1)) is not None:
        first = end + 1
    head = code.text[first:at]
    if {"static", "friend", "=", "using", "typedef"} & set(head[: _operator(head)]) or "~" in head:
        return ""
    if "operator" in head:
        return "operator" + "".join(head[_operator(head) + 1 :])
    return code.text[at - 1] if code.kind[at - 1] == NAME else ""


def _operator(head: Sequence[str]) -> int:
    return head.index("operator") if "operator" in head else len(head)


def _words_after(code: Code, end: int) -> tuple[int, int] | None:
    after = end + 1
    while after < len(code.text) and code.text[after] in _QUALIFIERS:
        after += 1
    following = code.text[after] if after < len(code.text) else ""
    return (end + 1, after) if following in _AFTER_HEAD else None
