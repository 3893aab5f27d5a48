"""Finds pointers to `device` made from arrays that MLX puts into the `constant` address space.

MLX binds an input of fewer than 8 elements as `constant`, and every shape and strides. Metal then
refuses `const device T* p = x + 1;` and `(const device T*)x`, which C++ with one memory would take:
a kernel would pass here and fail on a Mac.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SPACE, Token

_TYPE_SIGNS = {"::", "<", ">", ",", "*"}
_AFTER_POINTER = {"+", "-", ";", ",", ")"}


def check(tokens: Sequence[Token], constants: Collection[str]) -> None:
    """Check a body; `constants` are the names of its pointers to constant memory.

    Raises:
        Refused: at the first pointer to device memory that is made from one of them.
    """
    if not constants:
        return
    skipped = {SPACE, COMMENT, DIRECTIVE}
    code = [token for token in tokens if token.kind not in skipped]
    for at, token in enumerate(code):
        if token.kind == NAME and token.text == "device":
            name = _source(code, at)
            if name in constants:
                raise Refused("source", token.line, _reason(str(name)))


def _source(code: Sequence[Token], at: int) -> str | None:
    """The name that the pointer declared or cast to at `device` is made from."""
    end = at + 1
    while end < len(code) and (code[end].kind == NAME or code[end].text in _TYPE_SIGNS):
        end += 1
    written = [token.text for token in code[at:end]]
    if "*" not in written or end >= len(code):
        return None
    if code[end].text == ")" and written[-1] in {"*", "const"}:
        return _pointer(code, end + 1)
    if code[end].text == "(" and written[-1] == ">":  # reinterpret_cast<const device T*>(x)
        return _pointer(code, end + 1)
    if code[end].text == "=" and re.fullmatch(r"\w+", written[-1]):
        return _pointer(code, end + 1)
    return None


def _pointer(code: Sequence[Token], at: int) -> str | None:
    """The name that an expression takes its address from: `x`, `x + 1`, `&x[1]`."""
    while at < len(code) and code[at].text == "(":
        at += 1
    texts = [token.text for token in code[at : at + 3]]
    if len(texts) == 3 and texts[0] == "&" and texts[2] == "[":
        return texts[1]
    if len(texts) >= 2 and texts[1] in _AFTER_POINTER:
        return texts[0]
    return None


def _reason(name: str) -> str:
    return (
        f"'{name}' is in the constant address space (MLX binds inputs of fewer than 8 elements, and"
        " all shapes and strides, as constant) and cannot become a pointer to device memory; write"
        " 'auto'"
    )
