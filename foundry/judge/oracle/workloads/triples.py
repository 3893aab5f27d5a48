"""Workloads with three axes long together: two of some hundred to a thousand, the third beside.

A kernel may be right wherever one axis is short, or two are, as a product is whose tiles are taken
only from 16 rows, 1,000 columns and 500 terms on. For every three axes each of them is the shorter
one twice, beside either of the two others the longest, and once all are alike. Pure; equal seeds
give equal workloads.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from functools import lru_cache

from foundry.judge.oracle.pace import work
from foundry.judge.oracle.sampling import SameOp
from foundry.judge.oracle.workloads.resized import cheapest, growing, resized, smallest
from ops.spec import Op, elements_of
from ops.texts.expressions import holds
from ops.texts.relations import Solution, solutions
from ops.workload import Workload

MOST = 16
"""Workloads of an op: all there are of three and four axes, some of more."""
_PLACES = 1 << 25
"""Product of the three: 20 rows, 1,600 columns and 1,000 terms."""
_FEWEST_PLACES = 1 << 15
_MOST_ELEMENTS, _MOST_WORK = 1 << 21, 1 << 27
_SHORTER = (4.0, 5.5)
"""Logarithm of how long the shorter of three is."""
_LEAN = (0.1, 0.6)
"""Of two longer axes, how much one is above their mean, and the other below."""
_LESS = 0.8
_REPAIRS = 4


def three_long(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """For every three axes seven workloads; drawn from all of them where they are too many."""
    return _three_long(SameOp(op), dtype, seed)


@lru_cache(maxsize=64)
def _three_long(asked: SameOp, dtype: str, seed: int) -> tuple[Workload, ...]:
    op = asked.op
    rng = random.Random(f"{seed} three long {op.name} {dtype}")
    axes = growing(op)
    apart = [(three, rng.uniform(*_SHORTER)) for three in itertools.permutations(axes, 3)]
    wanted = [*apart, *((three, None) for three in itertools.combinations(axes, 3))]
    rng.shuffle(wanted)
    found = (_longest(op, dtype, three, shortest, rng) for three, shortest in wanted)
    known = {w.id: w for w in itertools.islice((w for w in found if w), MOST)}
    return tuple(known.values())


def _longest(
    op: Op, dtype: str, axes: tuple[str, ...], shortest: float | None, rng: random.Random
) -> Workload | None:
    """As long as it is affordable, the first axis the longest, all others as small as may be.

    Args:
        op: The op.
        dtype: Of the workload.
        axes: Those that are long.
        shortest: Logarithm of the size of the last one; None: all three are alike.
        rng: Draws by how much they differ.
    """
    lean, places = 2.0 ** rng.uniform(*_LEAN), float(_PLACES)
    while places >= _FEWEST_PLACES:
        beside = places ** (1 / 3) if shortest is None else 2.0**shortest
        rest = (places / beside) ** 0.5
        sizes = zip(axes, (rest * lean, rest / lean, beside), strict=True)
        known = list(_of_sizes(op, dtype, {axis: round(size) for axis, size in sizes}))
        if found := cheapest(op, known):
            return found
        places *= _LESS
    return None


def _of_sizes(op: Op, dtype: str, sizes: dict[str, int]) -> Iterator[Workload]:
    """The affordable ones among the op's cases with these sizes, repaired where a rule asks."""
    steps = {axis.name: axis.multiple_of for axis in op.axes}
    whole = {name: steps[name] * max(1, size // steps[name]) for name, size in sizes.items()}
    for base in smallest(op):
        axes = _repaired(op, {**base.axes, **whole}, whole)
        workload = resized(op, dtype, axes, base)
        if workload is None or elements_of(op, workload) > _MOST_ELEMENTS:
            continue
        if work(op, workload) <= _MOST_WORK:
            yield workload


def _repaired(op: Op, sizes: dict[str, int], asked: dict[str, int]) -> dict[str, int]:
    """The nearest sizes that keep the rules of the op; those that are asked for change last."""
    for _ in range(_REPAIRS):
        broken = next((rule for rule in op.constraints if not holds(rule, sizes)), None)
        ways = solutions(broken, sizes) if broken else ()
        if not ways:
            break
        way = min(ways, key=lambda way: way.name in asked)
        sizes = {**sizes, way.name: _nearest(sizes[way.name], way)}
    return sizes


def _nearest(size: int, way: Solution) -> int:
    if way.divides is not None:
        return next(d for d in range(max(1, min(size, way.divides)), 0, -1) if not way.divides % d)
    most = size if way.most is None else min(size, way.most)
    return -(-max(most, way.least) // way.multiple_of) * way.multiple_of
