"""Workloads that try the parameters of an op: both ends of each range, what is usual, and more.

A parameter reaches a kernel as an input, so none of them is another build: sizes are those of the
op's own cases. Pure; equal seeds give equal workloads.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

from ops.errors import UsageError
from ops.parameters import Scalar
from ops.spec import Case, Op, Workload, elements_of

_MOST_ELEMENTS = 1 << 13


def parameter_workloads(op: Op, dtype: str, seed: int) -> tuple[Workload, ...]:
    """As many as the longest list of values has; shorter ones begin again, in another order."""
    rng = random.Random(f"{seed} parameters {op.name} {dtype}")
    lists = {name: _values(op, name, rng) for name in op.params}
    count = max((len(values) for values in lists.values()), default=0)
    cases = _small(op, dtype)
    if count < 2 or not cases:
        return ()
    turns = {name: itertools.cycle(values) for name, values in lists.items()}
    found = (
        _workload(op, dtype, rng.choice(cases), {name: next(turn) for name, turn in turns.items()})
        for _ in range(count)
    )
    return tuple(workload for workload in found if workload is not None)


def _values(op: Op, name: str, rng: random.Random) -> list[Scalar]:
    default = op.params[name]
    if isinstance(default, bool):
        return [True, False]
    if name not in op.ranges:
        return [default]
    values = list(dict.fromkeys(op.ranges[name].values(default, rng)))
    rng.shuffle(values)
    return values


def _small(op: Op, dtype: str) -> list[Case]:
    """Cases with work in more than one place, and little of it."""
    cases = (*op.visible, *op.hidden)
    sizes = [elements_of(op, op.workload(case, dtype)) for case in cases]
    pairs = zip(cases, sizes, strict=True)
    return [c for c, n in pairs if n <= _MOST_ELEMENTS and min(c.axes.values()) > 0 and n > 16]


def _workload(op: Op, dtype: str, case: Case, params: dict[str, Scalar]) -> Workload | None:
    try:
        return op.workload(replace(case, params={**case.params, **params}), dtype)
    except UsageError:
        return None
