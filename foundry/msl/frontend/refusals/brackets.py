"""A text that ends in the middle: the bracket that stays open, or that closes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from foundry.msl.frontend.code import Code
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.tokens import tokenize


def unmatched(parts: Mapping[str, str]) -> Refused | None:
    """The first part with such a bracket, and its line; None where all of them match.

    Args:
        parts: Texts by the name of their part, as `header` and `source`.
    """
    found = (unmatched_in(Code(list(tokenize(text))), part) for part, text in parts.items())
    return next((lost for lost in found if lost), None)


def unmatched_in(code: Code, part: str) -> Refused | None:
    """The same of a text that was read."""
    if (at := code.unmatched) is None:
        return None
    return Refused(part, code.line(at), f"'{code.text[at]}' has no bracket that matches it")
