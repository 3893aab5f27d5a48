"""The tokens of a text that mean something, and which bracket closes which."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from foundry.msl.frontend.tokens import COMMENT, DIRECTIVE, NAME, SPACE, Token

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_BRACKETS = {*_CLOSING, *_CLOSING.values()}


class Code:
    """The tokens that mean something, and where each bracket closes."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = [n for n, t in enumerate(tokens) if t.kind not in (SPACE, COMMENT, DIRECTIVE)]
        self.text = [tokens[n].text for n in self.at]
        self.kind = [tokens[n].kind for n in self.at]
        self.partner: dict[int, int] = {}
        self.opening: dict[int, int] = {}
        """The bracket that each closing one closes."""
        open_at: list[int] = []
        for n, text in enumerate(self.text):
            if text in _CLOSING:
                open_at.append(n)
            elif open_at and text == _CLOSING[self.text[open_at[-1]]]:
                opening = open_at.pop()
                self.partner[opening], self.opening[n] = n, opening

    @cached_property
    def unmatched(self) -> int | None:
        """A bracket without its other one: the last that stays open, or one that closes nothing."""
        matched = self.partner.keys() | self.opening.keys()
        lost = [n for n, t in enumerate(self.text) if t in _BRACKETS and n not in matched]
        return next((n for n in reversed(lost) if self.text[n] in _CLOSING), next(iter(lost), None))

    def line(self, at: int) -> int:
        """Line of a token."""
        return self.tokens[self.at[at]].line

    def is_name(self, at: int) -> bool:
        """Whether a token is a name."""
        return self.tokens[self.at[at]].kind == NAME

    def call_around(self, at: int) -> int | None:
        """The `(` that a comma stands in; None where another bracket is the nearest."""
        opening = self.around[at]
        return opening if opening >= 0 and self.text[opening] == "(" else None

    @cached_property
    def around(self) -> list[int]:
        """The nearest bracket that is open before each token, and -1 where none is."""
        found, open_at = [], [-1]
        for n in range(len(self.text)):
            if n in self.opening and self.opening[n] == open_at[-1]:
                open_at.pop()
            found.append(open_at[-1])
            if n in self.partner:
                open_at.append(n)
        return found

    def angle_end(self, at: int) -> int | None:
        """Where a `<` closes; None where it is no bracket."""
        depth = 0
        while at < len(self.text):
            text = self.text[at]
            if text in "([" and at in self.partner:
                at = self.partner[at]
            elif text in {";", "{", "}"}:
                return None
            depth += (text == "<") - (text == ">")
            if depth == 0:
                return at
            at += 1
        return None
