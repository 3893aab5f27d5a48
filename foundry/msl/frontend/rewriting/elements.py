"""Marks what is indexed where its element's address is taken, for the pass that judges a kernel.

`&v[0]` of a vector is an error in Metal, `&p[0]` of a pointer is not, and only the compiler knows
which is which: both are handed to it as `&mf::indexed(v)[0]`.
"""

from __future__ import annotations

from collections.abc import Sequence

from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SPACE, Token

_BEFORE_OPERAND = {"(", ",", "=", "{", "?", ":", ";", "return", "+", "-", "==", "!=", "["}
_OPENS = {"(": ")", "[": "]"}


def with_indexed(tokens: list[Token]) -> list[Token]:
    """As many tokens, with `mf::indexed(...)` around what `&` or a reference reaches into."""
    code = [n for n, t in enumerate(tokens) if t.kind not in (SPACE, COMMENT, DIRECTIVE)]
    text = [tokens[n].text for n in code]
    changed: dict[int, str] = {}
    for at in range(1, len(text) - 3):
        if text[at] != "&" or (start := _operand(tokens, code, text, at)) is None:
            continue
        if (bracket := _last_index(tokens, code, text, start)) is not None:
            changed[code[start]] = f"mf::indexed({text[start]}"
            changed[code[bracket]] = ")["
    return [t._replace(text=changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _operand(
    tokens: Sequence[Token], code: Sequence[int], text: Sequence[str], at: int
) -> int | None:
    """Where the expression begins that `&` takes an address or makes a reference of."""
    if text[at - 1] in _BEFORE_OPERAND:
        return at + 1
    names = tokens[code[at + 1]].kind == NAME and text[at + 2] == "="
    return at + 3 if names and "const" not in text[max(0, at - 5) : at] else None


def _last_index(
    tokens: Sequence[Token], code: Sequence[int], text: Sequence[str], at: int
) -> int | None:
    """The `[` of the last index of `name[i]`, `name.member[i][j]`; None for what ends otherwise."""
    if tokens[code[at]].kind != NAME:
        return None
    last = None
    end = at + 1
    while end < len(text):
        if text[end] in _OPENS:
            last = end if text[end] == "[" else None
            if (closed := _closed(text, end)) is None:
                return None
            end = closed + 1
        elif text[end] in {".", "->"} and tokens[code[min(end + 1, len(code) - 1)]].kind == NAME:
            last = None
            end += 2
        else:
            break
    return last


def _closed(text: Sequence[str], at: int) -> int | None:
    """The bracket that closes the one at `at`."""
    depth = 0
    for end in range(at, len(text)):
        depth += (text[end] in _OPENS) - (text[end] in {")", "]"})
        if depth == 0:
            return end
        if text[end] in {";", "{", "}"}:
            return None
    return None
