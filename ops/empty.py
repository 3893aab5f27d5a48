"""Arrays of size 0, answered in one place for baselines, oracles and kernels.

1. Every output is empty: there is nothing to compute, and nothing is called or dispatched.
2. An input is empty and an output is not, such as a sum over no terms: the oracle says the value,
   and a baseline is not asked. MLX may refuse such a call or, on a CPU, loop for ever.
3. Anything else is computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ops.spec import CaseSet, Op, present, widen
from ops.workload import Tensor, Workload, dtype_of, fill_of, oracle_dtype, shape_of

_CASE_SETS: tuple[CaseSet, ...] = ("visible", "hidden", "bench")


def has_nothing_to_compute(op: Op, workload: Workload) -> bool:
    """Whether every output is empty."""
    return all(math.prod(shape_of(t, workload)) == 0 for t in op.outputs)


def is_over_nothing(op: Op, workload: Workload) -> bool:
    """Whether an input is empty and an output is not."""
    empty = any(math.prod(shape_of(t, workload)) == 0 for t in present(op, workload))
    return empty and not has_nothing_to_compute(op, workload)


def answer(
    op: Op, workload: Workload, inputs: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], ...] | None:
    """Outputs that need no run, float64 or in their own integer type; None: a run is needed.

    Args:
        op: The op.
        workload: One of its workloads.
        inputs: Its input arrays, in any precision; read in case 2 alone.
    """
    if has_nothing_to_compute(op, workload):
        return tuple(
            np.zeros(shape_of(t, workload), oracle_dtype(dtype_of(t, workload))) for t in op.outputs
        )
    if is_over_nothing(op, workload):
        return op.oracle(widen(op, workload, inputs), workload)
    return None


def over_nothing(op: Op) -> tuple[float | int | bool, ...] | Literal["computed"] | None:
    """What an op gives where an input is empty and an output is not, read off its own cases.

    Returns:
        One value for every element of each output where it is the same in all such cases, such as
        0 for a sum; `"computed"` where it is not, such as for rows joined to no rows; None for an
        op without such a case.
    """
    dtype = op.dtypes[0]
    workloads = (w for kind in _CASE_SETS for w in op.workloads(kind, dtype))
    values = {v for w in workloads if is_over_nothing(op, w) for v in _elements(op, w)}
    if not values:
        return None
    return values.pop() if len(values) == 1 else "computed"


def _elements(op: Op, workload: Workload) -> Iterator[tuple[float | int | bool, ...]]:
    drawn = {t.name: _drawn(t, workload) for t in present(op, workload)}
    flat = [np.ravel(output) for output in op.oracle(widen(op, workload, drawn), workload)]
    for index in range(max(array.size for array in flat)):
        yield tuple(array[min(index, array.size - 1)].item() if array.size else 0 for array in flat)


def _drawn(tensor: Tensor, workload: Workload) -> NDArray[Any]:
    shape, dtype = shape_of(tensor, workload), dtype_of(tensor, workload)
    rng = np.random.default_rng(0)
    return fill_of(tensor, workload).draw(
        rng, shape, dtype, workload.axes, lambda rng, shape, _: rng.standard_normal(shape)
    )
