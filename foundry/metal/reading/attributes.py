"""Lists between commas, and attributes among them: `[[buffer(0), function_constant(a)]]`."""

from __future__ import annotations

from collections.abc import Iterator

from foundry.msl.frontend.code import Code


def split(code: Code, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Runs of tokens between commas outside of brackets; an empty list has none."""
    if start == end or code.text[start:end] == ["void"]:
        return
    first = at = start
    while at < end:
        text = code.text[at]
        if text in "([{" and at in code.partner:
            at = code.partner[at]
        elif text == "<":
            at = code.angle_end(at) or at
        elif text == ",":
            yield first, at
            first = at + 1
        at += 1
    yield first, end


def attributes_in(code: Code, start: int, end: int) -> dict[str, str]:
    """Names of attributes with their arguments, as text."""
    found = {}
    for first, last in split(code, start, end):
        name = code.text[last - 1] if "(" not in code.text[first:last] else ""
        if not name:
            opening = code.text.index("(", first)
            name = code.text[opening - 1]
            arguments = code.text[opening + 1 : code.partner[opening]]
            found[name] = " ".join(arguments)
        else:
            found[name] = ""
    return found
