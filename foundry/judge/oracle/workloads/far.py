"""Workloads far beyond the lists of an op: where 16-bit indices, wraps and capped grids show.

For every axis one thin workload whose size does not fit 16 bits, and some between that and the
lists; one with more than 2^20 elements of output, and some where all axes are long together. Sizes
are drawn with the secret seed. Pure; equal seeds give equal workloads.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence

from foundry.judge.oracle.workloads.resized import Sizes, growing, resized, smallest, ways
from ops.spec import Op, elements_of, plain_flops
from ops.texts.expressions import names_in
from ops.workload import Case, Tensor, Workload, shape_of

_LONG = 1 << 16
"""An axis longer than this does not fit 16 bits."""
_MANY = 1 << 20
_JITTER = 1 << 12
_MOST_ELEMENTS = 1 << 23
_MOST_FLOPS = 1 << 26
_MOST_GROWN_FLOPS = 1 << 28
"""Of the one workload with many outputs, each of which may take hundreds."""
_TRIES = 24
_GROWTHS = (2.0, 1.25)
_MOST_OF_TWO = 1 << 24
"""Product of two axes where all are long: a kernel may do so much by brute force."""
_BETWEEN = 2
_TOGETHER, _FEW_BASES = 6, 3


def far_workloads(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """Workloads of an op beyond everything that it lists for tests, thin ones first."""
    rng = random.Random(f"{seed} far {op.name} {dtype}")
    found = [w for axis in growing(op) if (w := _long(op, dtype, axis, rng))]
    found += [w for axis in growing(op) for w in _between(op, dtype, axis, rng)]
    if large := grown(op, dtype, _MANY, rng):
        found.append(large)
    found += [w for n in range(_TOGETHER) if (w := _all_long(op, dtype, n, rng))]
    return tuple({w.id: w for w in found}.values())


def _long(op: Op, dtype: str, axis: str, rng: random.Random) -> Workload | None:
    """The longest affordable workload of an axis, everything else as small as it may be.

    An odd size where the axis allows one: it leaves a tail whatever it is cut into. If it can be, a
    third of the places and more lies beyond 16 bits, so that some of few places picked does.
    """
    known = _longest_known(op, axis)
    found = (w for size in _lengths(rng) if size > known and (w := _at(op, dtype, axis, size)))
    return next(found, None)


def _between(op: Op, dtype: str, axis: str, rng: random.Random) -> Iterator[Workload]:
    """Longer than any that is known and shorter than what is far: small sizes as often as large."""
    known = _longest_known(op, axis)
    for part in range(_BETWEEN):
        share = (part + rng.random()) / _BETWEEN
        size = round(known * (_LONG / known) ** share)
        if size > known and (workload := _at(op, dtype, axis, size)):
            yield workload


def _all_long(op: Op, dtype: str, number: int, rng: random.Random) -> Workload | None:
    """All axes grown by doubling, some more often than others, as long as it is affordable.

    Of two axes the first is doubled the more often the higher the number of the workload is.
    """
    axes, cases = growing(op), smallest(op)
    if not axes or not cases:
        return None
    share = (number + rng.random()) / _TOGETHER
    often = [share, 1.0 - share] if len(axes) == 2 else [rng.expovariate(1.0) for _ in axes]
    base, found = rng.choice(cases[:_FEW_BASES]), None
    workload = resized(op, dtype, base.axes, base)
    while workload and _longest_two(workload, axes) <= _MOST_OF_TWO:
        found = workload
        drawn = rng.choices(axes, often, k=_TRIES)
        workload = _doubled(op, dtype, found.axes, base, drawn, rng, _MOST_FLOPS)
    return found


def _longest_two(workload: Workload, axes: Sequence[str]) -> int:
    return math.prod(sorted(workload.axes[axis] for axis in axes)[-2:])


def _longest_known(op: Op, axis: str) -> int:
    return max(1, *(case.axes[axis] for case in (*op.visible, *op.hidden)))


def _at(op: Op, dtype: str, axis: str, size: int) -> Workload | None:
    """A thin workload of an axis of about that size, an odd one where it may be."""
    step = next(a.multiple_of for a in op.axes if a.name == axis)
    odd = (size // step | 1) * step
    found = (w for base in smallest(op) for w in _of_length(op, dtype, axis, odd, base))
    return next(found, None)


def _lengths(rng: random.Random) -> Iterator[int]:
    """What is tried for a long axis, the longest first."""
    yield _LONG + rng.randrange(_LONG // 2, _LONG)
    size = _LONG + rng.randrange(1, _JITTER)
    while size:
        yield size
        size //= 2


def _of_length(op: Op, dtype: str, axis: str, size: int, base: Case) -> Iterator[Workload]:
    for sizes in ways(op, base.axes, axis, size):
        workload = resized(op, dtype, sizes, base)
        if workload and _is_affordable(op, workload):
            yield workload


def grown(op: Op, dtype: str, beyond: int, rng: random.Random) -> Workload | None:
    """Grown by doubling axes at random until an output has more elements than that.

    First along the axes of all outputs, then along those of one: a state that is large after few
    steps is affordable, after many it is not. Where no output can grow, as a sum over everything,
    an input does.
    """
    starts = [(base, axes) for base in smallest(op) for axes in _growing_outputs(op)]
    grown_outputs = (_grown(op, dtype, *start, beyond, rng, op.outputs) for start in starts)
    grown_inputs = (_grown(op, dtype, *start, beyond, rng, op.inputs) for start in starts)
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
    workload = resized(op, dtype, base.axes, base)
    while workload and _most_of(tensors, workload) <= beyond:
        drawn = rng.choices(axes, k=_TRIES)
        workload = _doubled(op, dtype, workload.axes, base, drawn, rng, _MOST_GROWN_FLOPS)
    return workload


def _doubled(
    op: Op,
    dtype: str,
    sizes: Sizes,
    base: Case,
    drawn: Sequence[str],
    rng: random.Random,
    most_flops: int,
) -> Workload | None:
    """With the first of the drawn axes doubled that may be, or grown by a quarter where none may.

    None where that is too much, too.
    """
    for growth, axis in itertools.product(_GROWTHS, drawn):
        more = {**sizes, axis: round(growth * sizes[axis]) + rng.randrange(2)}
        workload = resized(op, dtype, more, base) if more[axis] > sizes[axis] else None
        if workload and _is_affordable(op, workload, most_flops):
            return workload
    return None


def _growing_outputs(op: Op) -> list[tuple[str, ...]]:
    """Axes of all outputs together, then those of each output."""
    free = growing(op) or op.axis_names
    named = [{n for dim in tensor.shape for n in names_in(dim)} for tensor in op.outputs]
    together = (tuple(a for a in free if a in of) for of in (set().union(*named), *named))
    return list(dict.fromkeys(some or free for some in together))


def _is_affordable(op: Op, workload: Workload, most_flops: int = _MOST_FLOPS) -> bool:
    return elements_of(op, workload) <= _MOST_ELEMENTS and plain_flops(op, workload) <= most_flops


def _most_of(tensors: tuple[Tensor, ...], workload: Workload) -> int:
    return max(math.prod(shape_of(tensor, workload)) for tensor in tensors)
