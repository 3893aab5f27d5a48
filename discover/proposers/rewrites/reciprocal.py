"""Divide once before a loop and multiply inside it.

Only by what the body declares as a float: the row of an element is an integer division, and a
product in float gives the row before in a place of some thousand.
"""

from __future__ import annotations

from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import (
    Loop,
    assigned,
    edit_bodies,
    free_name,
    loops,
    names,
    pieces,
    replace_loop,
)
from foundry.kernel import Kernel
from foundry.msl.frontend.tokens import NAME
from ops.spec import Op

_FLOATS = ("float", "half", "bfloat", "T")


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each loop and each divisor that does not change in it."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    floats = _declared_floats(body)
    for loop in loops(body):
        for divisor in sorted(_divisors(loop) & floats):
            inverse = free_name(f"inverse_{divisor}", names(body))
            inside = _multiplied(body[loop.begin : loop.end], divisor, inverse)
            text = f"{{\nconst float {inverse} = 1.0f / {divisor};\n{inside}\n}}"
            label = f"multiply by 1 / {divisor} in {loop.title}"
            yield label, replace_loop(body, loop, text)


def _declared_floats(body: str) -> set[str]:
    tokens = pieces(body)
    return {b.text for a, b in zip(tokens, tokens[1:], strict=False) if a.text in _FLOATS}


def _divisors(loop: Loop) -> set[str]:
    tokens = pieces(loop.body)
    after = {b.text for a, b in zip(tokens, tokens[1:], strict=False) if a.text == "/"
             and b.token.kind == NAME}  # fmt: skip
    called = {a.text for a, b in zip(tokens, tokens[1:], strict=False) if b.text in "([.->::"}
    declared = {
        b.text for a, b in zip(tokens, tokens[1:], strict=False)
        if a.token.kind == b.token.kind == NAME
    }  # fmt: skip
    return after - called - declared - assigned(loop.body) - {loop.var}


def _multiplied(text: str, divisor: str, inverse: str) -> str:
    tokens = pieces(text)
    found, last = [], 0
    for sign, value in zip(tokens, tokens[1:], strict=False):
        if sign.text == "/" and value.text == divisor:
            found += [text[last : sign.at], f"* {inverse}"]
            last = value.end
    return "".join([*found, text[last:]])
