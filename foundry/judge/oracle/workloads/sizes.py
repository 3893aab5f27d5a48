"""Sizes that nobody has seen: axes drawn anew, then repaired until every rule of the op is kept."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ops.axis import Axis
from ops.spec import Op
from ops.texts.expressions import ExpressionError, holds
from ops.texts.relations import Solution, solutions
from ops.workload import Case

_REDRAWN = 0.9
_BEYOND = 1.25
"""Sizes reach so far beyond the largest of the lists."""
_TRIES = 16
_REPAIRS = 8

Sizes = dict[str, int]


@dataclass(frozen=True)
class Listed:
    """What the public cases of an op say of one axis."""

    axis: Axis
    sizes: frozenset[int]
    power: float = 1.0
    """Below 1, draws end at this power of the largest size: so many axes together stay small."""

    @property
    def most(self) -> int:
        """The largest size that is drawn.

        What is compiled in also decides how much memory a kernel declares, so there the lists are
        the limit.
        """
        largest = max(self.sizes)
        most = largest if self.axis.compiled else math.ceil(_BEYOND * largest)
        return most if self.power == 1.0 else math.ceil(most**self.power)


def listed(op: Op, cases: Iterable[Case]) -> dict[str, Listed]:
    """Every axis with its sizes in these cases."""
    chosen = tuple(cases)
    return {
        axis.name: Listed(axis, frozenset(case.axes[axis.name] for case in chosen))
        for axis in op.axes
    }


def smaller(known: Mapping[str, Listed], power: float) -> dict[str, Listed]:
    """The same axes, with draws that end at a power of what they end at."""
    return {name: replace(found, power=power) for name, found in known.items()}


def new_compiled(known: Mapping[str, Listed], rng: random.Random) -> Sizes:
    """One size, on no list, for one of the axes that are compiled in: each is a build."""
    compiled = [found for found in known.values() if found.axis.compiled]
    if not compiled:
        return {}
    chosen = rng.choice(compiled)
    size = _drawn(chosen, Solution(chosen.axis.name, least=1), rng)
    return {} if size is None or size in chosen.sizes else {chosen.axis.name: size}


def largest_compiled(known: Mapping[str, Listed]) -> list[Sizes]:
    """For each axis that kernels are tried beyond the lists with, its largest size."""
    axes = [(found.axis, max(found.sizes)) for found in known.values() if found.axis.compiled]
    return [{axis.name: axis.tried_to} for axis, most in axes if axis.tried_to > most]


def redrawn(
    op: Op, base: Mapping[str, int], fixed: Sizes, known: Mapping[str, Listed], rng: random.Random
) -> Sizes | None:
    """The sizes of a case with most of them drawn anew; None where no repair was found.

    Args:
        op: The op.
        base: Sizes of one of its cases.
        fixed: Sizes that stay, by axis.
        known: As `listed` gives them.
        rng: All chance comes from here.
    """
    free = [n for n, found in known.items() if not found.axis.compiled and n not in fixed]
    sizes = {**base, **fixed}
    for name in free:
        if rng.random() < _REDRAWN:
            size = _drawn(known[name], Solution(name, least=1), rng)
            sizes[name] = sizes[name] if size is None else size
    return _repaired(op, sizes, free, known, rng)


def _repaired(
    op: Op,
    sizes: Sizes,
    free: Collection[str],
    known: Mapping[str, Listed],
    rng: random.Random,
) -> Sizes | None:
    for _ in range(_REPAIRS):
        broken = [c for c in op.constraints if not _holds(c, sizes)]
        if not broken:
            return sizes
        ways = [s for s in _solved(broken[0], sizes) if s.name in free]
        rng.shuffle(ways)
        found = ((way.name, _drawn(known[way.name], way, rng)) for way in ways)
        name, size = next(((n, s) for n, s in found if s is not None), ("", None))
        if size is None:
            return None
        sizes = {**sizes, name: size}
    return None


def _holds(condition: str, sizes: Sizes) -> bool:
    try:
        return holds(condition, sizes)
    except ExpressionError:
        return False


def _solved(condition: str, sizes: Sizes) -> Sequence[Solution]:
    try:
        return solutions(condition, sizes)
    except ExpressionError:
        return ()


def _drawn(found: Listed, way: Solution, rng: random.Random) -> int | None:
    """A size that the axis and the solution allow, on no list if there is one; None: there is none.

    Small sizes are as likely as large ones: the logarithm is evenly spread.
    """
    allowed = [size for size in _some(found, way, rng) if _allowed(size, found.axis, way)]
    new = [size for size in allowed if size not in found.sizes]
    return next(iter(new or allowed), None)


def _some(found: Listed, way: Solution, rng: random.Random) -> Sequence[int]:
    axis = found.axis
    if axis.values:
        return rng.sample(axis.values, len(axis.values))
    if way.divides is not None:
        divisors = [
            d for d in range(1, min(abs(way.divides), found.most) + 1) if way.divides % d == 0
        ]
        return rng.sample(divisors, len(divisors))
    step = math.lcm(axis.multiple_of, way.multiple_of)
    low = max(1, math.ceil(max(axis.least, way.least) / step))
    high = max(low, (found.most if way.most is None else min(found.most, way.most)) // step)
    drawn = (math.exp(rng.uniform(math.log(low), math.log(high + 0.5))) for _ in range(_TRIES))
    return [step * max(low, round(share)) for share in drawn]


def _allowed(size: int, axis: Axis, way: Solution) -> bool:
    if axis.refusal(size) or size < way.least or size % way.multiple_of:
        return False
    return way.most is None or size <= way.most
