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
    for part, text in parts.items():
        code = Code(list(tokenize(text)))
        if (at := code.unmatched) is not None:
            sign = code.text[at]
            fate = "is never closed" if sign in "([{" else "closes nothing"
            return Refused(part, code.line(at), f"'{sign}' {fate}")
    return None
