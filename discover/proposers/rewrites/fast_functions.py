"""Swap the precise and the fast variant of a mathematical function, wherever it is called."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import edit_everywhere, names, pieces
from foundry.kernel import Kernel
from ops.spec import Op

FUNCTIONS = (
    "cos",
    "exp",
    "exp2",
    "log",
    "log2",
    "pow",
    "powr",
    "rsqrt",
    "sin",
    "sqrt",
    "tan",
    "tanh",
    "divide",
)
_QUALIFIERS = ("fast", "precise", "metal")


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each function that is called, towards each variant that it is not."""
    called = names(kernel.header).union(*(names(stage.body) for stage in kernel.launches))
    for function in (f for f in FUNCTIONS if f in called):
        for qualifier in ("fast", "precise"):
            changed = edit_everywhere(
                kernel, partial(_qualify, function=function, qualifier=qualifier)
            )
            if changed is not None:
                yield Variant(f"{qualifier}::{function}", changed)


def _qualify(text: str, function: str, qualifier: str) -> str:
    tokens = pieces(text)
    found, last = [], 0
    for index, piece in enumerate(tokens):
        called = index + 1 < len(tokens) and tokens[index + 1].text == "("
        if piece.text != function or not called:
            continue
        begin = piece.at
        before = [p.text for p in tokens[max(0, index - 2) : index]]
        if before[-1:] in (["."], ["->"]):
            continue
        if before[-1:] == ["::"]:
            if before[0] not in _QUALIFIERS:
                continue
            begin = tokens[index - 2].at
        # A definition of that name stands after its type: `float exp(`.
        elif before and before[-1].isidentifier() and before[-1] != "return":
            continue
        found += [text[last:begin], f"{qualifier}::{function}"]
        last = piece.end
    return "".join([*found, text[last:]])
