"""Marks what is indexed where an element is more than read, for the pass that judges a kernel.

A component of a vector has no address in Metal and binds to no reference, an element of an array
does, and only the compiler knows which is which:

1. `&v[0]`, `&(v[0])` and `float& r = v[0]` are handed to it as `&mf::indexed(v)[0]`, an error for a
   vector.
2. An argument `v[0]` becomes `mf::argument(v)[0]`, a mere value where `v` is a vector.
"""

from __future__ import annotations

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import NAME, Token

_BEFORE_OPERAND = {"(", ",", "=", "{", "?", ":", ";", "return", "+", "-", "==", "!=", "["}
_NO_CALLS = {
    "if", "while", "for", "switch", "return", "sizeof", "alignof", "decltype", "static_assert",
    "catch", "and", "or", "not", "else", "do", "case", "vec",
}  # fmt: skip


def with_indexed(tokens: list[Token]) -> list[Token]:
    """As many tokens, with calls around what addresses, references and arguments reach into."""
    code = Code(tokens)
    changed: dict[int, str] = {}
    for at in range(1, len(code.text) - 3):
        if code.text[at] == "&" and (start := _operand(code, at)) is not None:
            _mark(code, changed, start, "indexed")
        elif code.text[at] in {"(", ","} and _is_in_call(code, at):
            _mark(code, changed, at + 1, "argument")
    return [t._replace(text=changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _mark(code: Code, changed: dict[int, str], start: int, call: str) -> None:
    bracket, end = _last_index(code, start)
    if bracket is None or (call == "argument" and code.text[end : end + 1] not in ([","], [")"])):
        return
    changed[code.at[start]] = f"mf::{call}({code.text[start]}"
    changed[code.at[bracket]] = ")["


def _operand(code: Code, at: int) -> int | None:
    """Where the expression begins that `&` takes an address or makes a reference of."""
    if code.text[at - 1] in _BEFORE_OPERAND:
        return next((n for n in range(at + 1, len(code.text)) if code.text[n] != "("), None)
    names = code.kind[at + 1] == NAME and code.text[at + 2] == "="
    return at + 3 if names and "const" not in code.text[max(0, at - 5) : at] else None


def _is_in_call(code: Code, at: int) -> bool:
    """Whether a `(` or `,` is of a call: `f(`, `f<2>(`, `f(a,`."""
    opening = code.call_around(at) if code.text[at] == "," else at
    if opening is None or opening == 0:
        return False
    named = code.kind[opening - 1] == NAME and code.text[opening - 1] not in _NO_CALLS
    return named or code.text[opening - 1] == ">"


def _last_index(code: Code, at: int) -> tuple[int | None, int]:
    """The `[` of the last index of `name[i]`, `name.member[i][j]`, and where the operand ends.

    None for what ends otherwise.
    """
    if code.kind[at] != NAME:
        return None, at
    last = None
    end = at + 1
    while end < len(code.text):
        if code.text[end] in {"(", "["}:
            last = end if code.text[end] == "[" else None
            if end not in code.partner or code.text[end + 1] == "]":
                return None, end
            end = code.partner[end] + 1
        elif code.text[end] in {".", "->"} and code.kind[min(end + 1, len(code.kind) - 1)] == NAME:
            last = None
            end += 2
        else:
            break
    return last, end
