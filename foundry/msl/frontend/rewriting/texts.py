"""Puts texts where Metal has them, for the pass that judges a kernel: in `constant`.

To clang `"abc"` lies in no address space. Where a pointer is made of it, the pass reads a pointer
to `constant` of no address in its place.
"""

from __future__ import annotations

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.tokens import NAME, STRING, Token

_POINTER = "((constant char*)0)"
_NO_CALLS = {
    "annotate", "deprecated", "host_name", "if", "static_assert", "switch", "while", "_Pragma",
}  # fmt: skip


def in_constant(tokens: list[Token]) -> list[Token]:
    """As many tokens, with pointers for texts that are arguments or make a pointer."""
    if not any(t.kind == STRING and t.text.startswith('"') for t in tokens):
        return tokens
    code = Code(tokens)
    changed: dict[int, str] = {}
    for at in range(1, len(code.text)):
        if code.kind[at] != STRING or not code.text[at].startswith('"'):
            continue
        if code.kind[at - 1] == STRING:
            if code.at[at - 1] in changed:
                changed[code.at[at]] = ""
        elif _makes_pointer(code, at) or _is_argument(code, at):
            changed[code.at[at]] = _POINTER
    return [t._replace(text=changed[n]) if n in changed else t for n, t in enumerate(tokens)]


def _makes_pointer(code: Code, at: int) -> bool:
    """`* p = "abc"`, `* const p = "abc"`, `auto p = "abc"`."""
    if code.text[at - 1] != "=" or code.kind[at - 2] != NAME:
        return False
    before = at - 3
    while before > 0 and code.text[before] == "const":
        before -= 1
    return code.text[before] in {"*", "auto"}


def _is_argument(code: Code, at: int) -> bool:
    n = at - 1
    if code.text[n] not in {"(", ","}:
        return False
    while n >= 0 and code.text[n] != "(":
        n = code.opening.get(n, n) - 1
        if n < 0 or code.text[n] in {";", "{", "}", "["}:
            return False
    name = code.text[n - 1]
    return code.kind[n - 1] == NAME and name not in _NO_CALLS and not name.startswith("__")
