"""Makes shifts count the low bits of their amount alone, as Metal does (MSL 3.1).

In C++ a shift by the width of the type or more has no meaning: constants, loops and vector
instructions then give different values. `a << b` becomes `a << mf::masked << b`, whose operators
(`metal_integer.h`) know the type of `a`. An amount that is written as a number below 32 is in
range whatever is shifted, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SIGN, SPACE, Token

_SMALL = re.compile(r"(?:[12]?\d|3[01])[uU]?")
_BOUNDARY = {";", "{", "}"}
_NO_OPERAND = {">", ",", ")", "]", "}", ":", "::", "{", ";", "&", "&&", "=", "."}
_END = (";", ";", ";")
"""What follows the last token, so that all may be asked what comes next."""
_OPEN, _CLOSE = {"(", "[", "{"}, {")", "]", "}"}


def in_macros(token: Token) -> bool:
    """Whether a directive defines a macro that shifts by something else than a small number."""
    if token.kind != DIRECTIVE or not re.match(r"(?:#|%:)\s*define\b", token.text):
        return False
    shifts = re.finditer(r"(?:<<|>>)\s*(?P<amount>\w*)", token.text)
    return any(not _SMALL.fullmatch(shift["amount"]) for shift in shifts)


def rewrite(tokens: list[Token]) -> list[Token]:
    """The tokens with every shift masked, each on its line."""
    after = dict(_insertions(tokens))
    if not after:
        return tokens
    result: list[Token] = []
    for at, token in enumerate(tokens):
        result.append(token)
        if at in after:
            result.append(Token(SIGN, after[at], token.line))
    return result


def _insertions(tokens: list[Token]) -> Iterator[tuple[int, str]]:
    """Index of a token, and what to put after it."""
    code = [n for n, t in enumerate(tokens) if t.kind not in (SPACE, COMMENT, DIRECTIVE)]
    text = [*(tokens[n].text for n in code), *_END]
    code += [len(tokens)] * len(_END)
    for at in range(1, len(text) - len(_END)):
        last = _sign_end(code, text, at)
        if last is None or text[at - 1] == "operator":
            continue
        if text[last + 1] == "=" and code[last + 1] == code[last] + 1:
            yield from _assignment(tokens, code, text, at, last + 1)
        elif not _is_small(text, last + 1):
            yield code[last], f" mf::masked {text[at][0] * 2} "


def _sign_end(code: list[int], text: list[str], at: int) -> int | None:
    """Position of the last token of the shift that starts at `at`."""
    if text[at] == "<<":
        return at
    adjacent = text[at : at + 2] == [">", ">"] and code[at + 1] == code[at] + 1
    if not adjacent or (text[at - 1] == ">" and code[at - 1] == code[at] - 1):
        return None
    if text[at + 2] != "=" and text[at + 2] in _NO_OPERAND:
        return None
    return at + 1 if _open_angles(code, text, at) < 2 else None


def _open_angles(code: list[int], text: list[str], at: int) -> int:
    """Template argument lists that are open before `at`: two, where `>>` closes them."""
    depth = closed = opened = 0
    for place in range(at - 1, 0, -1):
        word = text[place]
        if word in _CLOSE:
            depth += 1
        elif word in _OPEN:
            depth -= 1
            if depth < 0:
                break
        elif depth == 0 and word in _BOUNDARY:
            break
        elif depth == 0 and word == ">":
            closed += 1
        elif depth == 0 and word == "<" and closed:
            closed -= 1
        elif depth == 0 and word == "<":
            tight = code[place - 1] == code[place] - 1  # a comparison has spaces around it
            opened += text[place - 1] == "template" or tight
    return opened


def _is_small(text: list[str], at: int) -> bool:
    return bool(_SMALL.fullmatch(text[at])) and text[at + 1] not in {"*", "/", "%", "+", "-", "."}


def _assignment(
    tokens: list[Token], code: list[int], text: list[str], at: int, equals: int
) -> Iterator[tuple[int, str]]:
    """`a <<= b` as `a <<= mf::amount(b)`; a component of a vector is no reference and stays."""
    component = tokens[code[at - 1]].kind == NAME and text[at - 2] in {".", "->"}
    end = _expression_end(text, equals + 1)
    if component or end is None or (_is_small(text, equals + 1) and end == equals + 1):
        return
    yield code[equals], " mf::amount("
    yield code[end], ")"


def _expression_end(text: list[str], at: int) -> int | None:
    """Position of the last token of the expression that starts at `at`."""
    depth = 0
    for end in range(at, len(text)):
        if depth == 0 and text[end] in {";", ",", *_CLOSE}:
            return end - 1 if end > at else None
        depth += (text[end] in _OPEN) - (text[end] in _CLOSE)
    return None
