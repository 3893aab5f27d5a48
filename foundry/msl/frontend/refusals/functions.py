"""Functions as tokens: where the body of one opens, and which class one belongs to."""

from __future__ import annotations

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import NAME

_SPACES = {"device", "thread", "threadgroup", "constant"}
_AFTER_PARAMETERS = _SPACES | {
    "const", "volatile", "noexcept", "override", "final", "&", "__attribute__", "[",
}  # fmt: skip
_OF_TYPES = {"::", "*", "&"}
_STATEMENTS = {"if", "for", "while", "switch", "do", "return", "else"}


def body(code: Code, opening: int) -> int | None:
    """The brace that opens a function's body, for the one that opens its parameters.

    None where there is no body: a declaration or a call.
    """
    at = _past_words(code, code.partner.get(opening, len(code.text)) + 1)
    if _text(code, at) == "->":
        at = _past_type(code, at + 1)
    elif _text(code, at) == ":":
        at = _past_initialisers(code, at + 1)
    return at if _text(code, at) == "{" and at in code.partner else None


def owner(code: Code, colons: int) -> str:
    """The class in front of `::`, without its arguments: `S` of `n::S<T>::g`."""
    depth = 0
    for at in range(colons - 1, -1, -1):
        depth += (code.text[at] == ">") - (code.text[at] == "<")
        if depth == 0 and code.kind[at] == NAME:
            return code.text[at]
    return ""


def _text(code: Code, at: int) -> str:
    return code.text[at] if at < len(code.text) else ""


def _past_words(code: Code, at: int) -> int:
    """Behind `const device`, `noexcept(true)`, `[[...]]` and the like."""
    while _text(code, at) in _AFTER_PARAMETERS:
        opening = at + 1 if _text(code, at + 1) == "(" else at
        at = code.partner.get(opening, at) + 1
    return at


def _past_type(code: Code, at: int) -> int:
    while at < len(code.text):
        if code.text[at] == "<" and (end := code.angle_end(at)) is not None:
            at = end
        elif code.text[at] == "(" and code.text[at - 1] == "decltype":
            at = code.partner.get(at, at)
        elif code.kind[at] != NAME and code.text[at] not in _OF_TYPES:
            break
        at += 1
    return at


def _past_initialisers(code: Code, at: int) -> int:
    """Behind `a(1), b{2}`, or at a token that is no brace."""
    while _text(code, at) not in _STATEMENTS:
        at = _past_type(code, at)
        if (
            _text(code, at) not in {"(", "{"}
            or code.kind[at - 1] != NAME
            and code.text[at - 1] != ">"
        ):
            return len(code.text)
        at = code.partner.get(at, at) + 1
        if _text(code, at) != ",":
            return at
        at += 1
    return len(code.text)
