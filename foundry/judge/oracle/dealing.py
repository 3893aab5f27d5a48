"""Which inputs a kernel meets: distributions dealt to workloads, and workloads nobody has seen.

The lists of an op are public, and so is the order of the distributions. Whoever knew which of them
meet could be right there alone, so the seed, which is drawn in secret, shuffles the deal and draws
a few more sizes. Pure; equal seeds give equal deals.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from foundry.judge.oracle.inputs import DISTRIBUTIONS
from ops.errors import UsageError
from ops.spec import Case, Op, Workload, flops, shape_of

UNSEEN = 3
"""Workloads drawn for every kernel of a judge."""
_LAST = "touched"
_SMALL, _LARGE = 1 << 16, 1 << 20
"""Elements of a workload: up to the first every distribution is affordable, beyond the second
hardly any."""
_TRIES = 64
_REDRAWN = 0.6
_LEAST_ELEMENTS = 8
"""MLX compiles inputs of fewer elements differently: another build for every kernel."""
_MOST_ELEMENTS = 1 << 15
_MOST_FLOPS = 1 << 22

Dealt = tuple[Workload, tuple[str, ...]]


def deal(
    workloads: Sequence[Workload], distributions: Sequence[str], each: int, seed: int
) -> Iterator[Dealt]:
    """Deal `each` distributions to every workload: the first always, the others in turn."""
    first, others = distributions[0], _shuffled(distributions[1:], seed)
    position = 0
    for workload in workloads:
        count = min(each - 1, len(others))
        dealt = [others[(position + i) % len(others)] for i in range(count)]
        position += count
        yield workload, (first, *dealt)


def deal_thoroughly(
    op: Op, workloads: Sequence[Workload], distributions: Sequence[str], each: int, seed: int
) -> Iterator[Dealt]:
    """Deal to workloads on which a kernel is timed, where cheats would pay: all that is affordable.

    The last is the one that differs in a single element from the first.
    """
    first, others = distributions[0], _shuffled(distributions[1:], seed)
    last = [name for name in others if name == _LAST]
    others = [name for name in others if name != _LAST]
    for workload in workloads:
        size = elements_of(op, workload)
        count = len(others) if size <= _SMALL else max(0, each - 2) if size <= _LARGE else 0
        yield workload, (first, *others[:count], *last)


def unseen(op: Op, dtype: str, seed: int, count: int = UNSEEN) -> tuple[Workload, ...]:
    """Workloads that are on no list, small enough to be cheap.

    Compiled axes keep the values of the lists, for every other value is another build.
    """
    rng = random.Random(f"{seed} unseen {op.name} {dtype}")
    known = {w.id for cases in ("visible", "hidden") for w in op.workloads(cases, dtype)}
    found: list[Workload] = []
    for _ in range(count):
        drawn = (_drawn(op, dtype, rng) for _ in range(_TRIES))
        new = (w for w in drawn if w is not None and w.id not in known)
        if workload := next(new, None):
            found.append(workload)
            known.add(workload.id)
    return tuple(found)


def elements_of(op: Op, workload: Workload) -> int:
    """Elements of all tensors of a workload."""
    return sum(math.prod(shape_of(t, workload)) for t in (*op.inputs, *op.outputs))


def _drawn(op: Op, dtype: str, rng: random.Random) -> Workload | None:
    """One of the op's cases with some sizes drawn anew; None where that is no good workload."""
    cases = [case for case in (*op.visible, *op.hidden) if all(case.axes.values())]
    if not cases:
        return None
    base = rng.choice(cases)
    compiled = {axis.name for axis in op.axes if axis.compiled}
    axes = {
        name: base.axes[name]
        if name in compiled or rng.random() > _REDRAWN
        else _size(max(case.axes[name] for case in cases), rng)
        for name in op.axis_names
    }
    try:
        workload = op.workload(Case(axes, base.params, "", base.types, base.absent), dtype)
    except UsageError:
        return None
    shapes = [shape_of(t, workload) for t in op.inputs]
    if min(map(math.prod, shapes), default=0) < _LEAST_ELEMENTS:
        return None
    if elements_of(op, workload) > _MOST_ELEMENTS or flops(op, workload) > _MOST_FLOPS:
        return None
    return workload


def _size(most: int, rng: random.Random) -> int:
    return round(math.exp(rng.uniform(0.0, math.log(1.25 * most + 1))))


def _shuffled(distributions: Sequence[str], seed: int) -> list[str]:
    known = [name for name in DISTRIBUTIONS if name in distributions]
    random.Random(f"{seed} deal").shuffle(known)
    return known
