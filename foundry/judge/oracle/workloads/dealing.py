"""Which inputs a kernel meets: distributions dealt to workloads, and workloads nobody has seen.

The lists of an op are public, and so is the order of the distributions. Whoever knew which of them
meet could be right there alone, so the seed, which is drawn in secret, shuffles the deal and draws
a few more sizes. Pure; equal seeds give equal deals.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from foundry.judge.oracle.draws import coinciding, nonfinite, opposite, spots, thresholds
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS, MIXED
from foundry.judge.oracle.draws.near import ALIKE, FAINT
from foundry.judge.oracle.workloads.every import is_elementwise
from foundry.judge.oracle.workloads.sizes import (
    Listed,
    largest_compiled,
    listed,
    new_compiled,
    redrawn,
    smaller,
)
from ops.errors import UsageError
from ops.parameters import Scalar
from ops.spec import CaseSet, Op, elements_of, plain_flops, present
from ops.workload import Case, Workload, shape_of

UNSEEN = 3
"""Workloads drawn for every kernel of a judge."""
_LAST, _ENDS, _PLANTED = "touched", "widest", "planted"
_OF_PARAMETERS = (FAINT, ALIKE, "large", MIXED)
"""Where parameters show: inputs as small as one that is added, and of all sizes for thresholds."""
_SMALL, _LARGE = 1 << 16, 1 << 20
"""Elements of a workload: up to the first every distribution is affordable, beyond the second
hardly any."""
_TRIES = 64
_PUBLIC: tuple[CaseSet, ...] = ("visible", "hidden")
_NEW_COMPILED = 0.5
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


def deal_faintly(
    workloads: Sequence[Workload], distributions: Sequence[str], each: int, seed: int
) -> Iterator[Dealt]:
    """As `deal`, and to every workload inputs on which a parameter shows, small ones among them."""
    always = [name for name in _OF_PARAMETERS if name in distributions]
    others = [name for name in distributions if name not in always]
    for workload, dealt in deal(workloads, others, max(1, each - len(always)), seed):
        yield workload, (*dealt, *always)


def with_meetings(op: Op, dealt: Iterable[Dealt]) -> Iterator[Dealt]:
    """Deal to the small workloads what shows where inputs meet each other, or a parameter."""
    for workload, names in dealt:
        is_dealt = is_small(op, workload) and all(workload.axes.values())
        together = is_dealt and coinciding.able(op, workload)
        around = is_dealt and bool(thresholds.parameters(op, workload))
        more = (coinciding.COINCIDING,) * together + (thresholds.THRESHOLDS,) * around
        yield workload, (*names, *more)


def deal_thoroughly(
    op: Op, workloads: Sequence[Workload], distributions: Sequence[str], each: int, seed: int
) -> Iterator[Dealt]:
    """Deal to workloads on which a kernel is timed, where cheats would pay: all that is affordable.

    The last is the one that differs in a single element from the first. NaN or infinities come
    beside, where the op states what comes of them.
    """
    first, others = distributions[0], _shuffled(distributions[1:], seed)
    last = [name for name in others if name == _LAST]
    others = [name for name in others if name != _LAST]
    for workload in workloads:
        size = elements_of(op, workload)
        some = max(0, each - 2) if not is_large(op, workload) else 0
        count = len(others) if size <= _SMALL else some
        no_numbers = () if is_large(op, workload) else nonfinite.one_of(op, workload, seed)
        yield workload, (first, *others[:count], *no_numbers, *last)


def with_nonfinite(op: Op, dealt: Iterable[Dealt], count: int, seed: int) -> Iterator[Dealt]:
    """Deal NaN and infinities to so many of the small workloads, where the op states their rule."""
    asked, known = nonfinite.ASKED[op.nonfinite], list(dealt)
    small = [i for i, (w, _) in enumerate(known) if is_small(op, w) and all(w.axes.values())]
    rng = random.Random(f"{seed} nonfinite {op.name}")
    chosen = rng.sample(small, min(count, len(small))) if asked else ()
    for index, (workload, names) in enumerate(known):
        yield workload, (*names, *asked) if index in chosen else names


def with_ends(op: Op, dealt: Iterable[Dealt], distributions: Sequence[str]) -> Iterator[Dealt]:
    """Deal the ends of the range to all small workloads of an op that only selects.

    In few rows is nothing else, and workloads of one row or a whole one have none of them.
    """
    for workload, names in dealt:
        is_dealt = _ENDS in distributions and is_small(op, workload) and _ENDS not in names
        yield workload, (*names, _ENDS) if is_dealt else names


def with_planted(op: Op, dealt: Iterable[Dealt], distributions: Sequence[str]) -> Iterator[Dealt]:
    """Deal the winners of one lane to the small workloads of an op that keeps the k largest.

    A list that each lane keeps of its own is too short there alone.
    """
    keeps_some = any(rule.replace(" ", "").startswith("k<=") for rule in op.constraints)
    for workload, names in dealt:
        is_dealt = keeps_some and _PLANTED in distributions and is_small(op, workload)
        yield workload, (*names, _PLANTED) if is_dealt and _PLANTED not in names else names


def with_opposite(op: Op, dealt: Iterable[Dealt], distributions: Sequence[str]) -> Iterator[Dealt]:
    """Deal rows from end to end to every other small workload of an op that computes.

    One that only selects has the ends of the range, and one that treats each element alone all
    values.
    """
    if _ENDS in distributions or is_elementwise(op):
        yield from dealt
        return
    turns = itertools.count()
    for workload, names in dealt:
        is_able = is_small(op, workload) and all(workload.axes.values())
        is_able = is_able and bool(opposite.able(op, workload))
        is_dealt = is_able and next(turns) % 2 == 0
        yield workload, (*names, opposite.OPPOSITE) if is_dealt else names


def with_spots(op: Op, dealt: Iterable[Dealt]) -> Iterator[Dealt]:
    """Deal spots to the small workloads; where each element counts alone, all values are tried."""
    for workload, names in dealt:
        is_dealt = is_small(op, workload) and all(workload.axes.values()) and not is_elementwise(op)
        yield workload, (*names, *spots.of_op(op, workload)) if is_dealt else names


def unseen(op: Op, dtype: str, seed: int, count: int = UNSEEN) -> tuple[Workload, ...]:
    """Workloads that are on no list, small enough to be cheap.

    Of the axes that are compiled in, one has one new size in some of them: each is a build. Those
    that kernels are tried beyond the lists with have one more workload at their largest size, or
    one for both values of every switch.
    """
    rng = random.Random(f"{seed} unseen {op.name} {dtype}")
    cases = [case for case in (*op.visible, *op.hidden) if all(case.axes.values())]
    if not cases:
        return ()
    known = {w.id for kind in _PUBLIC for w in op.workloads(kind, dtype)}
    sizes = listed(op, cases)
    compiled = new_compiled(sizes, rng)
    found: list[Workload] = []
    largest = itertools.product(largest_compiled(sizes), _switched(op))
    wanted = [*((fixed, {}) for fixed in _sometimes(compiled, count, rng)), *largest]
    for fixed, switches in wanted:
        bases = [replace(case, params={**case.params, **switches}) for case in cases]
        ever_smaller = (smaller(sizes, 1.0 - number / (2 * _TRIES)) for number in range(_TRIES))
        drawn = (_drawn(op, dtype, rng.choice(bases), fixed, s, rng) for s in ever_smaller)
        kept = (_of_sizes(op, dtype, case, {**case.axes, **fixed}) for case in bases)
        new = (w for w in itertools.chain(drawn, kept) if w is not None and w.id not in known)
        if workload := next(new, None):
            found.append(workload)
            known.add(workload.id)
    return tuple(found)


def _sometimes(
    sizes: Mapping[str, int], count: int, rng: random.Random
) -> Iterator[dict[str, int]]:
    for _ in range(count):
        yield dict(sizes) if rng.random() < _NEW_COMPILED else {}


def _switched(op: Op) -> list[dict[str, Scalar]]:
    """Both values of every switch of an op, with those of the others."""
    switches = [name for name, default in op.params.items() if isinstance(default, bool)]
    return [
        dict(zip(switches, on, strict=True))
        for on in itertools.product((True, False), repeat=len(switches))
    ]


def is_small(op: Op, workload: Workload) -> bool:
    """Whether every distribution is affordable on a workload."""
    return elements_of(op, workload) <= _SMALL


def is_large(op: Op, workload: Workload) -> bool:
    """Whether a workload is dealt hardly any distribution."""
    return elements_of(op, workload) > _LARGE


def _drawn(
    op: Op,
    dtype: str,
    base: Case,
    fixed: dict[str, int],
    known: Mapping[str, Listed],
    rng: random.Random,
) -> Workload | None:
    """A case with most sizes drawn anew; None where that is no good workload."""
    axes = redrawn(op, base.axes, fixed, known, rng)
    if axes is None:
        return None
    types = {name: rng.choice(dtypes) for name, dtypes in op.types.items()}
    return _of_sizes(op, dtype, replace(base, types=types), axes)


def _of_sizes(op: Op, dtype: str, base: Case, axes: Mapping[str, int]) -> Workload | None:
    """A case with other sizes; None where the op has none like it, or it costs too much."""
    try:
        workload = op.workload(replace(base, axes=axes, label=""), dtype)
    except UsageError:
        return None
    shapes = [shape_of(t, workload) for t in present(op, workload)]
    if min(map(math.prod, shapes), default=0) < _LEAST_ELEMENTS:
        return None
    if elements_of(op, workload) > _MOST_ELEMENTS or plain_flops(op, workload) > _MOST_FLOPS:
        return None
    return workload


def _shuffled(distributions: Sequence[str], seed: int) -> list[str]:
    known = [name for name in DISTRIBUTIONS if name in distributions]
    random.Random(f"{seed} deal").shuffle(known)
    return known
