"""Workloads far beyond the lists of an op: where 16-bit indices, wraps and capped grids show.

One thin workload for every axis whose size does not fit 16 bits, and one with more than 2^20
elements of output. Sizes are drawn with the secret seed. `remainders` are small, and leave no tail
of a SIMD-group out, nor of one whose lanes take four elements each. Pure; equal seeds give equal
workloads.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from foundry.errors import UsageError
from foundry.judge.oracle.sampling import SameOp, independent_axes
from ops.expressions import names_in
from ops.spec import Case, Op, Tensor, Workload, elements_of, plain_flops, shape_of

_LONG = 1 << 16
"""An axis longer than this does not fit 16 bits."""
_MANY = 1 << 20
_JITTER = 1 << 12
_RATIOS = (5, 7, 8, 9, 12, 16, 24, 33, 48, 64)
"""How many times another axis one is that must be a multiple of it, as heads are of groups."""
_MOST_ELEMENTS = 1 << 23
_MOST_FLOPS = 1 << 26
_MOST_GROWN_FLOPS = 1 << 28
"""Of the one workload with many outputs, each of which may take hundreds."""
_TRIES = 24
_FEW = 3
_LANES = 32
"""Elements of a row that a SIMD-group passes at once, where each lane takes one."""
_VECTORS = 4 * _LANES
"""The same where each lane takes a vector of four."""
_CHEAP_ELEMENTS, _SMALL_WORK = 1 << 14, 1 << 21
_SHORT = 3
_EACH_TO = 16

Sizes = Mapping[str, int]


def far_workloads(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """Workloads of an op beyond everything that it lists for tests, thin ones first."""
    rng = random.Random(f"{seed} far {op.name} {dtype}")
    found = [w for axis in _growing(op) if (w := _long(op, dtype, axis, rng))]
    if large := grown(op, dtype, _MANY, rng):
        found.append(large)
    return tuple({w.id: w for w in found}.values())


def remainders(op: Op, dtype: str) -> tuple[Workload, ...]:
    """For every axis a workload with each remainder that 32 lanes may leave after a full pass."""
    return _remainders(SameOp(op), dtype)


def vector_remainders(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """The same for lanes that take four elements, along axes whose places depend on each other.

    Every remainder of 64 after a pass of 128, axes in turn; the seed says where they begin, and
    whether it is more than 64 of 128.
    """
    rng = random.Random(f"{seed} vectors {op.name} {dtype}")
    axes = [a.name for a in op.axes if a.name in _growing(op) and a.multiple_of == 1]
    axes = [axis for axis in axes if axis not in independent_axes(op)]
    rng.shuffle(axes)
    halves = [_VECTORS, _VECTORS + _VECTORS // 2]
    sizes = [rng.choice(halves) + r for r in range(_VECTORS // 2)]
    turns = zip(sizes, itertools.cycle(axes), strict=False)
    return _each_once(_alone(op, dtype, axis, size) for size, axis in turns)


def compiled_sizes(op: Op, dtype: str) -> tuple[Workload, ...]:
    """For every axis that is compiled in each small size, and multiples of 16 to its largest.

    Any of them may be what a kernel has a branch for, and each is a build.
    """
    found: list[Workload | None] = []
    for axis in op.axes:
        if axis.compiled:
            most = max(axis.tried_to, *(case.axes[axis.name] for case in (*op.visible, *op.hidden)))
            sizes = [*range(1, _EACH_TO), *range(_EACH_TO, most + 1, _EACH_TO)]
            some = axis.values or [size for size in sizes if size <= most]
            found += [_alone(op, dtype, axis.name, size) for size in some]
    return _each_once(found)


def ratios(op: Op, dtype: str) -> tuple[Workload, ...]:
    """For every axis that is a multiple of another one, workloads where it is many times that."""
    growing = _growing(op)
    pairs = [(m, of) for m in growing for of in growing if m != of and _is_multiple(op, m, of)]
    times = [(ratio, 1 + number % 2) for number, ratio in enumerate(_RATIOS)]
    sizes = ({m: ratio * once, of: once} for m, of in pairs for ratio, once in times)
    return _each_once(_sized(op, dtype, found) for found in sizes)


def _is_multiple(op: Op, axis: str, of: str) -> bool:
    """Whether the op refuses sizes of an axis for not being a multiple of another one's."""
    return any(
        [_allows(op, base, {axis: size, of: once}) for size, once in ((6, 3), (7, 1), (7, 3))]
        == [True, True, False]
        for base in _smallest(op)
    )


def _allows(op: Op, base: Case, sizes: Sizes) -> bool:
    return _workload(op, op.dtypes[0], {**base.axes, **sizes}, base) is not None


@lru_cache(maxsize=256)
def _remainders(asked: SameOp, dtype: str) -> tuple[Workload, ...]:
    return _each_once(_each_remainder(asked.op, dtype))


def _each_remainder(op: Op, dtype: str) -> Iterator[Workload | None]:
    steps = {axis.name: axis.multiple_of for axis in op.axes}
    for group in _together(op, dtype):
        for first in range(_LANES):
            units = {axis: _LANES + (first + n) % _LANES for n, axis in enumerate(group)}
            sizes = {axis: steps[axis] * unit for axis, unit in units.items()}
            if together := _sized(op, dtype, sizes):
                yield together
            else:
                yield from (_alone(op, dtype, axis, size) for axis, size in sizes.items())


def _each_once(found: Iterable[Workload | None]) -> tuple[Workload, ...]:
    return tuple({w.id: w for w in found if w}.values())


def _together(op: Op, dtype: str) -> list[list[str]]:
    """Axes in groups: those of one are long at once, as many as cost little."""
    groups: list[list[str]] = []
    for axis in _growing(op):
        for group in groups:
            longest = _sized(op, dtype, dict.fromkeys((*group, axis), 2 * _LANES - 1))
            if longest and elements_of(op, longest) <= _CHEAP_ELEMENTS:
                group.append(axis)
                break
        else:
            groups.append([axis])
    return groups


def _alone(op: Op, dtype: str, axis: str, size: int) -> Workload | None:
    """One long axis; with another one, where the op binds it to that."""
    ways = _with(op, {}, axis, size)
    return _cheapest(op, [w for sizes in ways if (w := _sized(op, dtype, sizes))])


def _sized(op: Op, dtype: str, sizes: Sizes) -> Workload | None:
    """The cheapest case that can have these sizes, with them; None where all cost too much."""
    of_bases = (_workload(op, dtype, {**base.axes, **sizes}, base) for base in _smallest(op))
    return _cheapest(op, [w for w in of_bases if w and _work(op, w) <= _SMALL_WORK])


def _cheapest(op: Op, found: list[Workload]) -> Workload | None:
    """The one with the least work, where each place that an axis is short of three counts too."""
    return min(found, key=lambda w: _work(op, w) * _SHORT ** -_long_enough(w.axes), default=None)


def _work(op: Op, workload: Workload) -> int:
    return elements_of(op, workload) + plain_flops(op, workload)


def _growing(op: Op) -> tuple[str, ...]:
    """Axes of any size; every further value of a compiled one is a build, which `unseen` draws."""
    return tuple(axis.name for axis in op.axes if not axis.compiled)


def _long(op: Op, dtype: str, axis: str, rng: random.Random) -> Workload | None:
    """The longest affordable workload of an axis, everything else as small as it may be.

    An odd size where the axis allows one: it leaves a tail whatever it is cut into. If it can be, a
    third of the places and more lies beyond 16 bits, so that some of few places picked does.
    """
    known = max(case.axes[axis] for case in (*op.visible, *op.hidden))
    step = next(a.multiple_of for a in op.axes if a.name == axis)
    for size in _lengths(rng):
        odd = (size // step | 1) * step
        found = (w for base in _smallest(op) for w in _of_length(op, dtype, axis, odd, base))
        if size > known and (workload := next(found, None)):
            return workload
    return None


def _lengths(rng: random.Random) -> Iterator[int]:
    """What is tried for a long axis, the longest first."""
    yield _LONG + rng.randrange(_LONG // 2, _LONG)
    size = _LONG + rng.randrange(1, _JITTER)
    while size:
        yield size
        size //= 2


def _of_length(op: Op, dtype: str, axis: str, size: int, base: Case) -> Iterator[Workload]:
    for sizes in _with(op, base.axes, axis, size):
        workload = _workload(op, dtype, sizes, base)
        if workload and _is_affordable(op, workload):
            yield workload


def _with(op: Op, base: Sizes, axis: str, size: int) -> Iterator[Sizes]:
    """The axis alone made long; then together with another one, for an op may bind it to that."""
    yield {**base, axis: size}
    for other in _growing(op):
        if other != axis:
            yield {**base, axis: size, other: size}


def grown(op: Op, dtype: str, beyond: int, rng: random.Random) -> Workload | None:
    """Grown by doubling axes at random until an output has more elements than that.

    First along the axes of all outputs, then along those of one: a state that is large after few
    steps is affordable, after many it is not. Where no output can grow, as a sum over everything,
    an input does.
    """
    ways = [(base, axes) for base in _smallest(op) for axes in _growing_outputs(op)]
    grown_outputs = (_grown(op, dtype, *way, beyond, rng, op.outputs) for way in ways)
    grown_inputs = (_grown(op, dtype, *way, beyond, rng, op.inputs) for way in ways)
    return next((w for w in itertools.chain(grown_outputs, grown_inputs) if w), None)


def _grown(
    op: Op,
    dtype: str,
    base: Case,
    axes: tuple[str, ...],
    beyond: int,
    rng: random.Random,
    tensors: tuple[Tensor, ...],
) -> Workload | None:
    workload = _workload(op, dtype, base.axes, base)
    while workload and _most_of(tensors, workload) <= beyond:
        workload = _doubled(op, dtype, workload.axes, base, axes, rng)
    return workload


def _doubled(
    op: Op, dtype: str, sizes: Sizes, base: Case, axes: tuple[str, ...], rng: random.Random
) -> Workload | None:
    for _ in range(_TRIES):
        axis = rng.choice(axes)
        more = {**sizes, axis: 2 * sizes[axis] + rng.randrange(2)}
        workload = _workload(op, dtype, more, base)
        if workload and _is_affordable(op, workload, _MOST_GROWN_FLOPS):
            return workload
    return None


def _growing_outputs(op: Op) -> list[tuple[str, ...]]:
    """Axes of all outputs together, then those of each output."""
    growing = _growing(op) or op.axis_names
    named = [{n for dim in tensor.shape for n in names_in(dim)} for tensor in op.outputs]
    ways = (tuple(a for a in growing if a in some) for some in (set().union(*named), *named))
    return list(dict.fromkeys(way or growing for way in ways))


def _smallest(op: Op) -> list[Case]:
    """The op's cases with work in them, the smallest first; those with axes of size 1 or 2 last.

    A softmax over one column is 1 whatever a kernel does, and two shards are not permuted.
    """
    cases = [case for case in (*op.visible, *op.hidden) if all(case.axes.values())]
    sizes = [(-_long_enough(case.axes), math.prod(case.axes.values())) for case in cases]
    return [cases[i] for i in sorted(range(len(cases)), key=lambda i: sizes[i])]


def _long_enough(sizes: Sizes) -> int:
    return sum(min(size, _FEW) for size in sizes.values())


def _workload(op: Op, dtype: str, sizes: Sizes, base: Case) -> Workload | None:
    try:
        return op.workload(Case(dict(sizes), base.params, "", base.types, base.absent), dtype)
    except UsageError:
        return None


def _is_affordable(op: Op, workload: Workload, most_flops: int = _MOST_FLOPS) -> bool:
    return elements_of(op, workload) <= _MOST_ELEMENTS and plain_flops(op, workload) <= most_flops


def _most_of(tensors: tuple[Tensor, ...], workload: Workload) -> int:
    return max(math.prod(shape_of(tensor, workload)) for tensor in tensors)
