"""Small workloads by the dozen: every size a SIMD-group may see, and axes that are long together.

Pure; equal seeds give equal workloads.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from foundry.judge.oracle.sampling import SameOp, independent_axes
from foundry.judge.oracle.workloads.resized import Sizes, alone, growing, resized, sized, smallest
from ops.spec import Op, elements_of
from ops.workload import Case, Workload

_RATIOS = (5, 7, 8, 9, 12, 16, 24, 33, 48, 64)
"""How many times another axis one is that must be a multiple of it, as heads are of groups."""
_EQUAL = (7, 16, 32, 33)
_LANES = 32
"""Elements of a row that a SIMD-group passes at once, where each lane takes one."""
_VECTORS = 4 * _LANES
"""The same where each lane takes a vector of four."""
_WITHIN = tuple((0, size) for size in range(2, _LANES, 4))
"""Sizes within a pass of the lanes: a kernel may take four or eight elements for all there are."""
_BLOCK, _BLOCKS, _POWERS = 512, (8, 33), range(1, 8)
"""Places of a block of a long axis, how many blocks, and what a power of two leaves beyond them."""
_CHEAP_ELEMENTS = 1 << 14
_EACH_TO = 16
_LONG_BESIDE = 1 << 12
_SOME = (1.0, 3.0, 5.0, 7.0)
"""Logarithms of how much there is of an axis beside a long one: a little, and more."""
_BOTH_WORK, _BOTH_PLACES = 1 << 24, 1 << 22
"""Elements and FLOPs of a workload with two long axes, and places that the two make."""


def remainders(op: Op, dtype: str) -> tuple[Workload, ...]:
    """For every axis a workload with each remainder that 32 lanes may leave after a full pass.

    Some are shorter than a pass.
    """
    return _remainders(SameOp(op), dtype)


def vector_remainders(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """The same for lanes that take four elements, along axes whose places depend on each other.

    Every remainder of 64 after a pass of 128, axes in turn; the seed says where they begin, and
    whether it is more than 64 of 128.
    """
    rng = random.Random(f"{seed} vectors {op.name} {dtype}")
    axes = _summed(op, rng)
    halves = [_VECTORS, _VECTORS + _VECTORS // 2]
    sizes = [rng.choice(halves) + r for r in range(_VECTORS // 2)]
    turns = zip(sizes, itertools.cycle(axes), strict=False)
    return _each_once(alone(op, dtype, axis, size) for size, axis in turns)


def aligned_remainders(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """Thousands of places along such an axis, and a power of two more, each power once.

    A kernel may take whole vectors, or blocks of them, only where a long row is a multiple of 16.
    """
    rng = random.Random(f"{seed} aligned {op.name} {dtype}")
    axes = _summed(op, rng)
    sizes = [_BLOCK * rng.randrange(*_BLOCKS) + (1 << power) for power in _POWERS]
    turns = zip(sizes, itertools.cycle(axes), strict=False)
    return _each_once(alone(op, dtype, axis, size) for size, axis in turns)


def _summed(op: Op, rng: random.Random) -> list[str]:
    """Axes of any size along which places depend on each other, in random order."""
    axes = [a.name for a in op.axes if a.name in growing(op) and a.multiple_of == 1]
    axes = [axis for axis in axes if axis not in independent_axes(op)]
    rng.shuffle(axes)
    return axes


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
            found += [alone(op, dtype, axis.name, size) for size in some]
    return _each_once(found)


def ratios(op: Op, dtype: str) -> tuple[Workload, ...]:
    """For every axis that is a multiple of another one, workloads where it is many times that."""
    pairs = [two for two in itertools.permutations(growing(op), 2) if _is_multiple(op, *two)]
    times = [(ratio, 1 + number % 2) for number, ratio in enumerate(_RATIOS)]
    sizes = ({m: ratio * once, of: once} for m, of in pairs for ratio, once in times)
    return _each_once(sized(op, dtype, found) for found in sizes)


def squares(op: Op, dtype: str) -> tuple[Workload, ...]:
    """For every two axes workloads where both are equal: what is taken along the wrong one fits."""
    return _squares(SameOp(op), dtype)


@lru_cache(maxsize=256)
def _squares(asked: SameOp, dtype: str) -> tuple[Workload, ...]:
    op = asked.op
    pairs = itertools.combinations(growing(op), 2)
    return _each_once(sized(op, dtype, {a: n, b: n}) for a, b in pairs for n in _EQUAL)


def _is_multiple(op: Op, axis: str, of: str) -> bool:
    """Whether the op refuses sizes of an axis for not being a multiple of another one's."""
    return any(
        [_allows(op, base, {axis: size, of: once}) for size, once in ((6, 3), (7, 1), (7, 3))]
        == [True, True, False]
        for base in smallest(op)
    )


def _allows(op: Op, base: Case, sizes: Sizes) -> bool:
    return resized(op, op.dtypes[0], {**base.axes, **sizes}, base) is not None


def both_long(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """For every two axes workloads where both are long, and each is beside some of the other.

    A kernel may be right wherever one of them is, as on an image of many lines or of many columns.
    """
    rng = random.Random(f"{seed} both long {op.name} {dtype}")
    axes = growing(op)
    found = [
        _lengthened(op, dtype, [{one: 2, other: n} for n in (3, 2, 1)], (one, other), rng)
        for one, other in itertools.combinations(axes, 2)
    ]
    for (one, other), ends in itertools.product(
        itertools.permutations(axes, 2), itertools.pairwise(_SOME)
    ):
        some = round(2 ** rng.uniform(*ends))
        starts = [{one: some, other: n} for n in (2, 1, some, 2 * some)]
        found.append(_lengthened(op, dtype, starts, (other,), rng))
    return _each_once(found)


def _lengthened(
    op: Op, dtype: str, starts: list[dict[str, int]], longer: Sequence[str], rng: random.Random
) -> Workload | None:
    """The first of the starts that the op has, some of its axes doubled while it costs little.

    Counts are of what an axis is a multiple of. The shortest axis comes first; where an axis is
    bound to another one, as queries are to keys, that is doubled before it.
    """
    known = ((units, w) for units in starts if (w := _at_units(op, dtype, units)))
    units, found = next(known, ({}, None))
    while found is not None:
        grown = (
            {**units, axis: 2 * units[axis] + more}
            for axis in sorted(longer, key=lambda axis: units[axis])
            for more in (rng.randrange(2), 0)
            if units[axis] < _LONG_BESIDE
        )
        further = ((some, w) for some in grown if (w := _at_units(op, dtype, some)))
        if (step := next(further, None)) is None:
            return found
        units, found = step
    return None


def _at_units(op: Op, dtype: str, units: dict[str, int]) -> Workload | None:
    """By brute force work grows with the product of axes, and so may what an oracle keeps."""
    steps = {axis.name: axis.multiple_of for axis in op.axes}
    sizes = {name: steps[name] * count for name, count in units.items()}
    if math.prod(sizes.values()) > _BOTH_PLACES:
        return None
    return sized(op, dtype, sizes, _BOTH_WORK)


@lru_cache(maxsize=256)
def _remainders(asked: SameOp, dtype: str) -> tuple[Workload, ...]:
    return _each_once(_each_remainder(asked.op, dtype))


def _each_remainder(op: Op, dtype: str) -> Iterator[Workload | None]:
    steps = {axis.name: axis.multiple_of for axis in op.axes}
    for group in _together(op, dtype):
        for whole, first in (*_WITHIN, *((_LANES, rest) for rest in range(_LANES))):
            units = {axis: whole + (first + n) % _LANES or 1 for n, axis in enumerate(group)}
            sizes = {axis: steps[axis] * unit for axis, unit in units.items()}
            if together := sized(op, dtype, sizes):
                yield together
            else:
                yield from (alone(op, dtype, axis, size) for axis, size in sizes.items())


def _each_once(found: Iterable[Workload | None]) -> tuple[Workload, ...]:
    return tuple({w.id: w for w in found if w}.values())


def _together(op: Op, dtype: str) -> list[list[str]]:
    """Axes in groups: those of one are long at once, as many as cost little."""
    groups: list[list[str]] = []
    for axis in growing(op):
        for group in groups:
            longest = sized(op, dtype, dict.fromkeys((*group, axis), 2 * _LANES - 1))
            if longest and elements_of(op, longest) <= _CHEAP_ELEMENTS:
                group.append(axis)
                break
        else:
            groups.append([axis])
    return groups
