"""Cases of an op at other sizes: what sizes beyond its lists are made of. Pure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Mapping

from foundry.errors import UsageError
from foundry.judge.oracle.pace import work
from ops.spec import Op
from ops.workload import Case, Workload

SMALL_WORK = 1 << 21
"""Elements and FLOPs of what is run by the dozen."""
_FEW, _SHORT = 3, 3

Sizes = Mapping[str, int]


def growing(op: Op) -> tuple[str, ...]:
    """Axes of any size; every further value of a compiled one is a build, which `unseen` draws."""
    return tuple(axis.name for axis in op.axes if not axis.compiled)


def smallest(op: Op) -> list[Case]:
    """The op's cases with work in them, the smallest first; those with axes of size 1 or 2 last.

    A softmax over one column is 1 whatever a kernel does, and two shards are not permuted.
    """
    cases = [case for case in (*op.visible, *op.hidden) if all(case.axes.values())]
    sizes = [(-_long_enough(case.axes), math.prod(case.axes.values())) for case in cases]
    return [cases[i] for i in sorted(range(len(cases)), key=lambda i: sizes[i])]


def _long_enough(sizes: Sizes) -> int:
    return sum(min(size, _FEW) for size in sizes.values())


def resized(op: Op, dtype: str, sizes: Sizes, base: Case) -> Workload | None:
    """The case at these sizes; None where the op has none like it."""
    try:
        return op.workload(Case(dict(sizes), base.params, "", base.types, base.absent), dtype)
    except UsageError:
        return None


def ways(op: Op, base: Sizes, axis: str, size: int) -> Iterator[Sizes]:
    """The axis alone made long; then together with another one, for an op may bind it to that."""
    yield {**base, axis: size}
    for other in growing(op):
        if other != axis:
            yield {**base, axis: size, other: size}


def alone(op: Op, dtype: str, axis: str, size: int) -> Workload | None:
    """One long axis; with another one, where the op binds it to that."""
    found = (sized(op, dtype, sizes) for sizes in ways(op, {}, axis, size))
    return cheapest(op, [workload for workload in found if workload])


def sized(op: Op, dtype: str, sizes: Sizes, most_work: int = SMALL_WORK) -> Workload | None:
    """The cheapest case that can have these sizes, with them; None where all cost too much."""
    of_bases = (resized(op, dtype, {**base.axes, **sizes}, base) for base in smallest(op))
    return cheapest(op, [w for w in of_bases if w and work(op, w) <= most_work])


def cheapest(op: Op, found: list[Workload]) -> Workload | None:
    """The one with the least work, where each place that an axis is short of three counts too.

    Of those with and without an optional input, or with another convention, the sizes say which: a
    kernel may be right at every size without a bias alone, and that is always less work.
    """
    variants = sorted({_variant(w) for w in found})
    if not variants:
        return None
    sizes = tuple(min(found, key=_cost_of(op)).axes.values())
    turn = zlib.crc32(repr(sizes).encode()) % len(variants)
    return min((w for w in found if _variant(w) == variants[turn]), key=_cost_of(op))


def _cost_of(op: Op) -> Callable[[Workload], float]:
    return lambda w: work(op, w) * _SHORT ** -_long_enough(w.axes)


def _variant(workload: Workload) -> str:
    """What sets it apart but sizes and numbers."""
    said = {name: v for name, v in workload.params.items() if isinstance(v, bool)}
    return repr((workload.absent, sorted(workload.types.items()), sorted(said.items())))
