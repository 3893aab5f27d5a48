"""Metal source as tokens, enough of C++ to check and rewrite it without a parser.

1. `join_lines` removes carriage returns and backslash-newline splices (a compiler sees neither) and
   keeps every later line on its number.
2. `tokenize` yields tokens that together are the text again; comments, whitespace and
   preprocessor directives are tokens of their own, digraphs are spelt as what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

SPACE, COMMENT, DIRECTIVE, STRING, NAME, NUMBER, SIGN = (
    "space", "comment", "directive", "string", "name", "number", "sign",
)  # fmt: skip

_SPLICE = re.compile(r"\\[ \t\f\v]*\n")
_LOGICAL_LINE = re.compile(
    r"^(?:(?:[^\n\\]|\\(?![ \t\f\v]*\n))*\\[ \t\f\v]*\n)+[^\n]*", re.MULTILINE
)
_COMMENT = r"//[^\n]*|/\*.*?(?:\*/|\Z)"
_STRING = (
    r'(?:u8|[uUL])?R"(?P<mark>[^()\\\s"]{0,16})\(.*?(?:\)(?P=mark)"|\Z)'
    r'|(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"'
    r"|(?:u8|[uUL])?'(?:[^'\\\n]|\\.)*'"
    r"|[\"'][^\n]*"  # not closed: clang takes the rest of the line
)
_TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<comment>{_COMMENT})"
    rf"|(?P<string>{_STRING})"
    r"|(?P<name>[^\W\d][\w$]*|\$[\w$]*)"
    r"|(?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)"
    r"|(?P<sign>%:%:|<:(?!:(?![:>]))|:>|<%|%>|%:|::|->|\+\+|--|&&|\|\||<<|##|[^\w\s])",
    re.DOTALL,
)
_DIRECTIVE = re.compile(rf"(?:{_STRING}|/\*.*?(?:\*/|\Z)|(?!//)[^\n])*", re.DOTALL)
_NOT_CODE, _ON_ONE_LINE = {SPACE, COMMENT, DIRECTIVE}, {NAME, NUMBER, SIGN}
_DIGRAPHS = {"<:": "[", ":>": "]", "<%": "{", "%>": "}", "%:": "#", "%:%:": "##"}


class Token(NamedTuple):
    """A piece of the text; `text` is its spelling, a digraph replaced by its meaning."""

    kind: str
    text: str
    line: int
    column: int = 0
    """Counted from 1; 0 for text that the front end put in."""


def join_lines(text: str) -> str:
    """The text without line splices; the newlines a logical line loses follow it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\\" not in text:
        return text

    def join(match: re.Match[str]) -> str:
        joined, count = _SPLICE.subn("", match[0])
        return joined + "\n" * count

    return _LOGICAL_LINE.sub(join, text)


def tokenize(text: str) -> Iterator[Token]:
    """Tokens of a text whose lines are joined; a directive is one token up to its line's end."""
    position, line, line_at, line_start, length = 0, 1, 0, True, len(text)
    match_at, make = _TOKEN.match, tuple.__new__  # large files have a million tokens
    while position < length:
        match = match_at(text, position)
        assert match is not None  # the last alternative takes any character
        kind, piece = match.lastgroup or "", match.group()
        if line_start and piece in {"#", "%:"}:
            rest = _DIRECTIVE.match(text, match.end())
            kind, piece = DIRECTIVE, piece + (rest.group() if rest else "")
        text_of = _DIGRAPHS.get(piece, piece) if kind == SIGN else piece
        yield make(Token, (kind, text_of, line, position - line_at + 1))
        line_start = line_start and kind in _NOT_CODE
        if kind not in _ON_ONE_LINE and (newlines := piece.count("\n")):
            line += newlines
            line_at = position + piece.rindex("\n") + 1
            line_start = kind in _NOT_CODE
        position += len(piece)
