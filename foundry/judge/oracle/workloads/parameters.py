"""Workloads that try the parameters of an op: both ends of each range, what is usual, and more.

Round values come on workloads of their own: a kernel may have a branch for one that the op's file
does not name, as -1 is of a factor, or 30 of a cap.

A parameter reaches a kernel as an input, so none of them is another build: sizes are those of the
op's own cases. Pure; equal seeds give equal workloads.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

from ops.errors import UsageError
from ops.parameters import Scalar
from ops.spec import Op, elements_of
from ops.workload import Case, Workload

_MOST_ELEMENTS = 1 << 13
_ROUND = (-1.0, 0.0, 0.5, 1.0, 2.0, 10.0, 30.0, 50.0, 100.0)
_ROUND_INTEGERS = (0, 1, 2, 3, 100, 1000, 65_535, 65_537, 100_003)
"""Those above 16 bits are no multiples of powers of two."""
_SIXTEEN_BITS, _OF_LONG = 65_535, 4
_SHORT_QUOTIENTS = (41, 47, 55, 61)
"""In float32 each times its reciprocal is less than 1: what divides so falls one short."""
_OF_SHORT, _MOST_DIVIDED = 2, 1 << 15


def parameter_workloads(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """As many as the longest list of values has; shorter ones begin again, in another order.

    One more for each number that may be zero, with all others as usual, so that what zero does
    shows.
    """
    rng = random.Random(f"{seed} parameters {op.name} {dtype}")
    lists = {name: _values(op, name, rng) for name in op.params}
    count = max((len(values) for values in lists.values()), default=0)
    cases = _small(op, dtype)
    if count < 2 or not cases:
        return ()
    turns = {name: itertools.cycle(values) for name, values in lists.items()}
    drawn = [{name: next(turn) for name, turn in turns.items()} for _ in range(count)]
    zeros = [{name: type(op.params[name])(0)} for name in op.ranges if _may_be_zero(op, name)]
    found = (_workload(op, dtype, rng.choice(cases), values) for values in (*drawn, *zeros))
    return tuple(workload for workload in found if workload is not None)


def _may_be_zero(op: Op, name: str) -> bool:
    return op.ranges[name].low <= 0 <= op.ranges[name].high


def round_parameters(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """For every round value of a parameter that its file does not name, a workload with it.

    Integers beyond 16 bits come on several: what is left of one after a wrap may be the same place
    of an axis.
    """
    rng = random.Random(f"{seed} round {op.name} {dtype}")
    cases = _small(op, dtype)
    wanted = [(name, value) for name in op.ranges for value in _round_of(op, name)]
    found: list[Workload] = []
    for name, value in wanted:
        rng.shuffle(cases)
        tried = (_workload(op, dtype, case, {name: value}) for case in cases)
        count = _OF_LONG if value > _SIXTEEN_BITS else 1
        found += itertools.islice((w for w in tried if w is not None), count)
    return (*found, *_divided(op, dtype, rng))


def _divided(op: Op, dtype: str, rng: random.Random) -> Iterator[Workload]:
    """For every integer by which an axis may be divided, a number whose quotients fall short."""
    cases = _small(op, dtype, _MOST_DIVIDED)
    for name in op.ranges:
        value = rng.choice(_SHORT_QUOTIENTS)
        known = op.ranges[name]
        if not isinstance(op.params[name], int) or not known.low < value < known.high:
            continue
        rng.shuffle(cases)
        longest = sorted(cases, key=lambda case: -sum(s > value for s in case.axes.values()))
        tried = (_workload(op, dtype, case, {name: value}) for case in longest)
        yield from itertools.islice((w for w in tried if w is not None), _OF_SHORT)


def _round_of(op: Op, name: str) -> list[Scalar]:
    default, known = op.params[name], op.ranges[name]
    values = _ROUND_INTEGERS if isinstance(default, int) else _ROUND
    named = {known.low, known.high, *known.usual}
    return [value for value in values if known.low < value < known.high and value not in named]


def _values(op: Op, name: str, rng: random.Random) -> list[Scalar]:
    default = op.params[name]
    if isinstance(default, bool):
        return [True, False]
    if name not in op.ranges:
        return [default]
    values = list(dict.fromkeys(op.ranges[name].values(default, rng)))
    rng.shuffle(values)
    return values


def _small(op: Op, dtype: str, most: int = _MOST_ELEMENTS) -> list[Case]:
    """Cases with work in more than one place, and little of it."""
    cases = (*op.visible, *op.hidden)
    sizes = [elements_of(op, op.workload(case, dtype)) for case in cases]
    pairs = zip(cases, sizes, strict=True)
    return [c for c, n in pairs if n <= most and min(c.axes.values()) > 0 and n > 16]


def _workload(op: Op, dtype: str, case: Case, params: dict[str, Scalar]) -> Workload | None:
    try:
        return op.workload(replace(case, params={**case.params, **params}), dtype)
    except UsageError:
        return None
