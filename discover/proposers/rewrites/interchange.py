"""Swap two loops of which one holds nothing but the other: another order of the same steps."""

from __future__ import annotations

from collections.abc import Iterator

from discover.proposers.rewrites import Variant
from discover.proposers.rewrites.source import (
    LEAVES,
    Loop,
    assigned,
    code,
    edit_bodies,
    loops,
    names,
    replace_loop,
)
from foundry.kernel import Kernel
from ops.spec import Op


def variants(kernel: Kernel, op: Op) -> Iterator[Variant]:
    """Each pair of loops that may be swapped."""
    for label, changed in edit_bodies(kernel, _edit):
        yield Variant(label, changed)


def _edit(body: str) -> Iterator[tuple[str, str]]:
    for outer in loops(body):
        inner = _alone(outer)
        if inner is not None and _swappable(outer, inner):
            text = f"{_head(inner)} {{\n{_head(outer)} {{\n{inner.body.strip()}\n}}\n}}"
            yield f"{outer.title} inside of that over {inner.var}", replace_loop(body, outer, text)


def _alone(outer: Loop) -> Loop | None:
    """The loop that is all of another one's body."""
    inner = next(iter(loops(outer.body)), None)
    if inner is None or code(outer.body[: inner.begin] + outer.body[inner.end :]):
        return None
    return inner


def _swappable(outer: Loop, inner: Loop) -> bool:
    """Whether neither's bounds hang on the other, and no step leaves early or meets a barrier.

    What one step leaves for the next is the judge's business: sums may come in any order.
    """
    moved = assigned(inner.body) | {outer.var, inner.var}
    of_inner = names(inner.start) | names(inner.limit) | names(inner.step)
    of_outer = names(outer.start) | names(outer.limit) | names(outer.step)
    return not ((of_inner | of_outer) & moved or names(inner.body) & LEAVES)


def _head(loop: Loop) -> str:
    v = loop.var
    return f"for ({loop.type} {v} = {loop.start}; {v} < {loop.limit}; {v} += {loop.step})"
