"""Mutation operators: what people get wrong in kernels, as rewrites of the text. Pure.

An operator changes one place of the code that follows the first body marker; one of the helpers
before it where the body has none; or it finds none. What stands in comments, the launch blocks
among them, is never changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BODY = "// --- body ---"
_COMMENTS = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Operator:
    """One planted bug: the first or the last match of a pattern is replaced."""

    name: str
    why: str
    """What is wrong with the mutant, as one clause."""
    pattern: re.Pattern[str]
    """Its group `bug` is what changes."""
    replacement: str
    """Takes the place of `bug`; `{}` stands for what it was."""
    last: bool = False

    def __call__(self, text: str) -> str | None:
        """The kernel file with the bug; None where it has no place for it."""
        code, body = uncommented(text), text.find(_BODY)
        found = list(self.pattern.finditer(code, body)) or list(
            self.pattern.finditer(code, 0, body)
        )
        if not found:
            return None
        start, end = found[-1 if self.last else 0].span("bug")
        return text[:start] + self.replacement.format(text[start:end]) + text[end:]


def uncommented(text: str) -> str:
    """The text with its comments blanked, each character in its place."""
    return _COMMENTS.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


_LOOP_BOUND = re.compile(r"\bfor \([^;]*; \w+ < (?P<bug>[^;&]+?)(?:;| &&)")
# A loop's step is none: a loop of one pass is right whatever its step is.
_ADDITION = re.compile(r"(?P<bug>\+=)(?=[^;{]*;)")
_MAXIMUM = re.compile(
    # Of indices it is left alone: a loop that begins earlier, where a mask hides all, is right.
    r"^(?![^\n]*\b(?:u?int|u?short|u?long|size_t) \w+ = [^\n;]*\bmax\()[^\n]*?\b(?P<bug>max)\(",
    re.MULTILINE,
)

OPERATORS = (
    Operator("divides_wrong", "the first division multiplies", re.compile(r" (?P<bug>/) "), "*"),
    Operator("exp2", "another base", re.compile(r"\b(?P<bug>exp)\("), "exp2"),
    Operator("first_loop_ends_early", "the first loop ends one step early", _LOOP_BOUND, "{} - 1"),
    Operator(
        "lane_one",
        "the first test for 0 tests for 1",
        # A test for lane 0 says who writes what all lanes hold: any other lane would do as well.
        re.compile(r"(?<!\blane) == (?P<bug>0)\b"),
        "1",
    ),
    Operator("last_plus_to_minus", "the last sum subtracts", _ADDITION, "-=", last=True),
    Operator(
        "loop_ends_early", "the last loop ends one step early", _LOOP_BOUND, "{} - 1", last=True
    ),
    Operator("max_to_min", "the first maximum of values is a minimum", _MAXIMUM, "min"),
    Operator(
        "no_barrier",
        "the first barrier is gone",
        re.compile(r"(?P<bug>\bthreadgroup_barrier\([^()]*\))"),
        "",
    ),
    Operator("no_product", "the first product is a sum", re.compile(r" (?P<bug>\*) "), "+"),
    Operator("plus_to_minus", "the first sum subtracts", _ADDITION, "-="),
    Operator(
        "starts_at_zero", "the maximum starts at zero", re.compile(r"(?P<bug>-INFINITY)\b"), "0.0f"
    ),
)
"""By name."""
