"""Count a loop in a signed or an unsigned integer: compilers reason about them differently.

A loop whose counter goes into `min` and its like stays: with one argument of the other sign the
call is ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import Loop, edit_bodies, loops
from foundry.kernel import Kernel
from ops.spec import Op

_OTHER = {"uint": "int", "int": "uint"}


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each loop alone."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    for loop in loops(body):
        other = _OTHER.get(loop.type)
        if other is None or _is_overloaded(loop):
            continue
        # Both sides of the comparison take the same type, or the compiler would convert silently.
        header = (
            f"for ({other} {loop.var} = {other}({loop.start}); "
            f"{loop.var} < {other}({loop.limit}); {loop.var} += {other}({loop.step})) {{"
        )
        text = f"{header}\n{loop.body.strip()}\n}}"
        yield (
            f"{loop.title} in {other}",
            body[: loop.begin] + text + body[loop.end :],
        )


def _is_overloaded(loop: Loop) -> bool:
    return bool(re.search(rf"\b(?:min|max|clamp)\w*\s*\([^;]*\b{loop.var}\b", loop.body))
