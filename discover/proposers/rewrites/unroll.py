"""Tell the compiler how far to unroll a loop, or take the advice away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import edit_bodies, loops
from foundry.kernel import Kernel
from ops.spec import Op

PRAGMAS = ("#pragma unroll", "#pragma unroll(2)", "#pragma unroll(4)", "#pragma unroll(8)")
_ABOVE = re.compile(r"\n?[ \t]*#pragma[ \t]+unroll[^\n]*\n[ \t]*\Z")


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """One loop with one piece of advice each."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    for loop in loops(body):
        before, after = body[: loop.begin], body[loop.begin :]
        advice = _ABOVE.search(before)
        if advice:
            yield f"{loop.title}: no unroll advice", before[: advice.start()] + "\n" + after
            before = before[: advice.start()]
        for pragma in PRAGMAS:
            if not advice or pragma not in advice[0].split("\n"):
                above = before.rstrip(" ").removesuffix("\n")
                yield f"{loop.title}: {pragma}", f"{above}\n{pragma}\n{after}"
