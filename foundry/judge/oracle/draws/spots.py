"""One input that holds spots: a few values of every moderate size, where they show.

A band of values that a kernel reads wrongly hides from random inputs. Where all inputs are large, a
softmax has one weight left, and bounds are wide; where none is, the band does not occur. So all
inputs but one are normal here, and in that one a few values of each row lie around a size of the
row's own. All sizes up to a hundred come in turn, in either sign, narrow bands of them too.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import FLOAT_DTYPES
from ops.fills import Positive, Real
from ops.spec import Op, present
from ops.workload import Tensor, Workload, dtype_of, fill_of

SPOTS = ("spots", "spots of another")
"""Distributions: of one input, and of the next one that may hold them."""
_LARGEST = 104.0
_AROUND = 4.0
"""How far the values of a row lie from the row's own, at most."""
_ONE_IN, _MOST_OF_ROW = 32, 4
"""Values of a row, where rows are many."""
_WANTED = 104
"""Values of a tensor at least, where a share of each row is as many."""
_SHARE, _SHARE_OF_VECTORS = 8, 1
"""One in so many; of a vector, whose elements mostly count one by one, all."""
_MANY_ROWS = 8
_MATRIX, _WITHIN_MATRIX = 2, 12.0
_ONE_SIGNED = 1 / 3
"""Of the rows."""

Values = NDArray[np.float64]


def of_op(op: Op, workload: Workload) -> tuple[str, ...]:
    """The distributions that differ on a workload: one where a single input may hold spots."""
    return SPOTS[: len(able(op, workload))]


def spotted(op: Op, workload: Workload, distribution: str, rng: Generator) -> str | None:
    """The input that holds the spots, drawn; None where none may."""
    found = able(op, workload)
    if not found:
        return None
    return found[(int(rng.integers(len(found))) + SPOTS.index(distribution)) % len(found)]


def draw(rng: Generator, shape: tuple[int, ...], dtype: str) -> Values:
    """Normal values with spots in every row; in some rows all are of one sign.

    There a least or largest one shows a spot that is read as 0.
    """
    values = np.asarray(rng.standard_normal(shape))
    if not values.size:
        return values
    flat = values.reshape(-1, shape[-1] if shape else 1)
    rows, columns = flat.shape
    share = _SHARE if len(shape) > 1 else _SHARE_OF_VECTORS
    count = _count(rows, columns, share)
    found = _sizes(rng, shape, rows, count) + _AROUND * rng.uniform(-1.0, 1.0, (rows, count))
    order = rng.permuted(np.broadcast_to(np.arange(columns), flat.shape), axis=1)
    np.put_along_axis(flat, order[:, :count], found, axis=1)
    is_one_signed = rng.random((rows, 1)) < _ONE_SIGNED
    flat[:] = np.where(is_one_signed, np.copysign(flat, found[:, :1]), flat)
    return values


def _sizes(rng: Generator, shape: tuple[int, ...], rows: int, count: int) -> Values:
    """Around what each row's spots lie; where rows are few, each spot has a size of its own.

    Rows of one matrix among many are near each other: keys that are much larger would hide others.
    """
    if len(shape) > _MATRIX and rows >= _MANY_ROWS:
        matrices = rows // shape[-2]
        sizes = np.repeat(_LARGEST * _strata(rng, matrices), shape[-2])
        sizes += _WITHIN_MATRIX * rng.uniform(-1.0, 1.0, rows)
        return np.asarray(np.where(rng.random(rows) < 0.5, -sizes, sizes)[:, None])
    own = 1 if rows >= _MANY_ROWS else count
    return np.asarray(_LARGEST * (2.0 * _strata(rng, rows * own).reshape(rows, own) - 1.0))


def _strata(rng: Generator, count: int) -> Values:
    """A number from each of so many equal parts of 0 to 1, in random order."""
    return np.asarray((rng.permutation(count) + rng.random(count)) / count)


def _count(rows: int, columns: int, share: int) -> int:
    """Spots of a row: few, for each must count; more where there are few rows."""
    usual = min(_MOST_OF_ROW, 1 + columns // _ONE_IN)
    return max(usual, min(columns // share, -(-_WANTED // rows)))


def able(op: Op, workload: Workload) -> list[str]:
    """The inputs of floats that may hold values of any size, as they are dealt."""
    return [t.name for t in present(op, workload) if _holds_any_size(t, workload)]


def _holds_any_size(tensor: Tensor, workload: Workload) -> bool:
    if dtype_of(tensor, workload) not in FLOAT_DTYPES:
        return False
    fill = fill_of(tensor, workload)
    return isinstance(fill, Positive) or (isinstance(fill, Real) and None in (fill.low, fill.high))
