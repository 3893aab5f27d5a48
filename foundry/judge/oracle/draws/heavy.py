"""Few values that outweigh all others: what is left out of a long sum shows where one of them is.

Rounding may carry a sum of a million terms as far as some hundred of them do, so a kernel that
leaves out the last of a row is within its bounds on values of one size. Here as good as all of a
sum comes from sixteen terms. Half of them lie anywhere; the others at distances from the end of
which each is as likely as its double: the last element or so, the last of a warp, of a block, of
many blocks.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.spec import Op
from ops.workload import Workload, reduction_length

HEAVY, HEAVIER = "heavy", "heavier"
"""Distributions: of one row exp is outweighed and of the next its squares, and the other way."""
_HALF = 8
"""Heavy values anywhere, and as many near the end."""
_MOST = 2048.0
"""Sums of squares of it are no large numbers in float32, nor is it in 16 bits."""
_SPREAD = 1.0

Values = NDArray[np.float64]


def weighs(op: Op, workload: Workload) -> bool:
    """Whether an output is summed from so many terms that few of them can outweigh the others."""
    return any(reduction_length(t, workload) > 4 * _HALF for t in op.outputs)


def draw(rng: Generator, shape: tuple[int, ...], dtype: str) -> Values:
    """`HEAVY`: normal values, and in every row the heavy ones; of matrices among many, heavy rows.

    Rows of keys and values are what attention sums over.
    """
    return _drawn(rng, shape, 0)


def draw_heavier(rng: Generator, shape: tuple[int, ...], dtype: str) -> Values:
    """`HEAVIER`: the same with rows in the other turn."""
    return _drawn(rng, shape, 1)


def _drawn(rng: Generator, shape: tuple[int, ...], turn: int) -> Values:
    values = np.asarray(rng.standard_normal(shape))
    if not values.size or not shape:
        return values
    axis = -2 if len(shape) > 2 else -1
    count, width = shape[axis], shape[-1] if axis < -1 else 1
    rows = values.reshape(-1, count, width)
    places = _places(rng, rows.shape[0], count)[:, :, None]
    heavy = (*places.shape[:2], width)
    sizes = _sizes(turn, rows.shape[0], count)[:, None, None]
    # All about as heavy, exp of them too: none alone outweighs the others.
    found = _signs(rng, places.shape) * (sizes + rng.uniform(-_SPREAD, _SPREAD, heavy))
    np.put_along_axis(rows, np.broadcast_to(places, heavy), found, axis=1)
    return values


def _places(rng: Generator, rows: int, count: int) -> NDArray[np.int64]:
    """In each row places anywhere, and one of every scale of distance from the end."""
    octaves = math.log2(count) * (np.arange(_HALF) + rng.random((rows, _HALF))) / _HALF
    near_end = count - np.minimum(np.exp2(octaves), count).astype(np.int64)
    return np.concatenate([rng.integers(count, size=(rows, _HALF)), near_end], axis=1)


def _signs(rng: Generator, shape: tuple[int, ...]) -> Values:
    """Near the end in turn, the nearest above zero: exp of it counts; elsewhere by chance."""
    near_end = np.where(np.arange(_HALF) % 2, -1.0, 1.0)
    anywhere = np.where(rng.random((shape[0], _HALF)) < 0.5, -1.0, 1.0)
    found = np.concatenate([anywhere, np.broadcast_to(near_end, anywhere.shape)], axis=1)
    return found.reshape(shape)


def _sizes(turn: int, rows: int, count: int) -> Values:
    """Where exp of sixteen outweighs so many normal values, and where their squares do, in turn."""
    for_exp = math.log(count) + 2.0
    for_squares = min(_MOST, 0.5 * math.sqrt(count))
    is_first = np.arange(rows) % 2 == turn
    return np.where(is_first, for_exp, np.maximum(for_exp, for_squares))
