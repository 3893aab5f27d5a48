"""Divide once before a loop and multiply inside it."""

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


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each loop and each divisor that does not change in it."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    for loop in loops(body):
        for divisor in sorted(_divisors(loop)):
            inverse = free_name(f"inverse_{divisor}", names(body))
            inside = _multiplied(body[loop.begin : loop.end], divisor, inverse)
            text = f"{{\nconst float {inverse} = 1.0f / {divisor};\n{inside}\n}}"
            label = f"multiply by 1 / {divisor} in {loop.title}"
            yield label, replace_loop(body, loop, text)


def _divisors(loop: Loop) -> set[str]:
    tokens = pieces(loop.body)
    after = {b.text for a, b in zip(tokens, tokens[1:], strict=False) if a.text == "/"
             and b.token.kind == NAME}  # fmt: skip
    called = {a.text for a, b in zip(tokens, tokens[1:], strict=False) if b.text in "([.->::"}
    declared = {
        b.text for a, b in zip(tokens, tokens[1:], strict=False)
        if a.token.kind == b.token.kind == NAME
    }  # fmt: skip
    # An integer division must stay one: the loop's own numbers are integers.
    integers = names(loop.limit) | names(loop.step) | names(loop.start) | {loop.var}
    return after - called - declared - assigned(loop.body) - integers


def _multiplied(text: str, divisor: str, inverse: str) -> str:
    tokens = pieces(text)
    found, last = [], 0
    for sign, value in zip(tokens, tokens[1:], strict=False):
        if sign.text == "/" and value.text == divisor:
            found += [text[last : sign.at], f"* {inverse}"]
            last = value.end
    return "".join([*found, text[last:]])
