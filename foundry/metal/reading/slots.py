"""The numbers in attributes: `[[buffer(3)]]`, `[[function_constant(FC + 1)]]`."""

from __future__ import annotations

import re

MOST = {"buffer": 30, "threadgroup": 30, "function_constant": 65535}
"""The largest that an attribute takes (MSL 5.2.1, 5.8)."""
_TERM = re.compile(r"\s*([+-]?)\s*(0[xX][\da-fA-F]+|0[0-7]*|[1-9]\d*)[uU]?(?=\s|$|[+-])")


def number(text: str) -> int | None:
    """The value of a sum of numbers; None for an expression that only a compiler knows."""
    total, at = 0, 0
    text = text.strip().removeprefix("(").removesuffix(")").strip()
    while found := _TERM.match(text, at):
        total += int(found[1] + found[2], _base(found[2]))
        at = found.end()
    return total if text and not text[at:].strip() else None


def _base(digits: str) -> int:
    """Of a number as C writes it: `0x1f`, `017`, `15`."""
    if digits[:2].lower() == "0x":
        return 16
    return 8 if digits.startswith("0") else 10


def reason_against(attribute: str, text: str) -> str | None:
    """Why an attribute does not take a number, as a sentence."""
    value = number(text)
    if value is None or 0 <= value <= MOST[attribute]:
        return None
    most = MOST[attribute]
    return f"'{attribute}' attribute parameter is out of bounds: {value} is not in 0 to {most}"
