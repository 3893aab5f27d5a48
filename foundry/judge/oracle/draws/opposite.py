"""Rows that hold both ends of what a half holds: a difference of two of them overflows there.

A kernel that takes a range, a distance or a sum in the element type is right until a row reaches
from one end to the other. Of one input a few values of most rows are that large, and all others are
normal. Where the baseline itself leaves the range on the way, nothing is asked.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.fills import Real
from ops.spec import Op, present
from ops.workload import ELEMENT, Workload, fill_of

OPPOSITE = "opposite"
"""The distribution."""
_SIZES = (36_000.0, 60_000.0)
"""The sum of any two is no half; bfloat16 and float32 hold it easily."""
_SHARE = 3 / 4
"""Of the rows."""
_ONE_IN = 64
"""Values of a row, and two at least."""

Values = NDArray[np.float64]


def able(op: Op, workload: Workload) -> tuple[str, ...]:
    """The inputs that may hold such rows: of the element type, and of any value."""
    given = (tensor for tensor in present(op, workload) if tensor.dtype == ELEMENT)
    return tuple(t.name for t in given if fill_of(t, workload) == Real())


def draw(rng: Generator, shape: tuple[int, ...], dtype: str) -> Values:
    """Normal values, and in most rows some of each end."""
    values = np.asarray(rng.standard_normal(shape))
    if not values.size or not shape:
        return values
    flat = values.reshape(-1, shape[-1])
    rows, columns = flat.shape
    count = min(columns, 2 + columns // _ONE_IN)
    order = rng.permuted(np.broadcast_to(np.arange(columns), flat.shape), axis=1)[:, :count]
    signs = np.where(np.arange(count) % 2, -1.0, 1.0)
    large = signs * rng.uniform(*_SIZES, (rows, count))
    is_opposite = rng.random((rows, 1)) < _SHARE
    known = np.take_along_axis(flat, order, axis=1)
    np.put_along_axis(flat, order, np.where(is_opposite, large, known), axis=1)
    return values
