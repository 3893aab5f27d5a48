"""Inputs that are unusual in the same places: all of them zero, large or in a band at once.

Where each input is drawn alone, two of them are seldom zero or large together, and a kernel may be
wrong just there: at a gradient of zero beside moments of zero, or where two sums of nothing meet.
Here chance says once for all inputs what becomes of a place: of an index along the first axis,
which inputs share whatever their shapes, and of an element, which those of one shape share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.matching import Expected, Within
from foundry.program import Arrays
from ops.dtypes import FLOAT_DTYPES
from ops.fills import LogSums, Real
from ops.spec import Op, present
from ops.workload import ELEMENT, Tensor, Workload, fill_of

COINCIDING = "coinciding"
"""The distribution."""
NOTHING = -1e30
"""Logarithm of a sum of nothing, in practice."""
_FEW = 4
"""So many indices along the first axis at least have a kind of their own."""
_ROW_BAND, _BAND_OF_ONE = 16.0, 104.0
"""Largest size in a band: of all that share a first index, where products add up; of an element."""
_ROW_POWERS, _POWERS_OF_ONE = (-12.0, 4.0), (-12.0, 8.0)
"""The same for powers of two, least and largest."""
_ZERO_OF_ONE = 2 / 3
"""Of what is zero, how many of the inputs are."""
_BY_ELEMENT, _ZERO, _BAND, _POWER, _NOTHING, _KINDS = range(6)
_ONE_IN = 24
"""Of elements, how many are of each of these kinds."""

Values = NDArray[np.float64]


def able(op: Op, workload: Workload) -> bool:
    """Whether several inputs are floats, and one of any size, on one side at least."""
    fills = [fill_of(t, workload) for t in present(op, workload) if _is_float(t)]
    return len(fills) > 1 and any(isinstance(f, Real) and None in (f.low, f.high) for f in fills)


def may_be_of_nothing(op: Op, tensor: Tensor) -> bool:
    """Whether an input holds a float32 for each row of another one, whatever the element type."""
    rows = {t.shape[:-1] for t in op.inputs if t.dtype == ELEMENT}
    is_free = tensor.fill is None or isinstance(tensor.fill, LogSums)
    return tensor.dtype == "float32" and is_free and tensor.shape in rows


def draw(rng: Generator, places: Generator, shape: tuple[int, ...], *, of_nothing: bool) -> Values:
    """Normal values, others in places.

    Args:
        rng: Draws the values.
        places: Says what becomes of places; in the same state for every input.
        shape: Of the input.
        of_nothing: Whether it may hold what `NOTHING` stands for.
    """
    values = np.asarray(rng.standard_normal(shape))
    if not values.size:
        return values
    firsts = shape[0] if shape else 1
    kinds = places.integers(0, _KINDS, firsts) if firsts >= _FEW else np.zeros(firsts, np.int64)
    sizes = places.random(firsts)
    by_first = (-1, *(1,) * (len(shape) - 1)) if shape else ()
    kinds, sizes = kinds.reshape(by_first), sizes.reshape(by_first)
    found = _placed(rng, kinds, _Sizes(sizes, _ROW_BAND, _ROW_POWERS), values)
    drawn = places.integers(0, _ONE_IN, shape)
    is_alone = (drawn < _KINDS) & (kinds == _BY_ELEMENT)
    alone = np.where(is_alone, drawn, _BY_ELEMENT)
    found = _placed(rng, alone, _Sizes(places.random(shape), _BAND_OF_ONE, _POWERS_OF_ONE), found)
    nothing = (kinds == _NOTHING) | (alone == _NOTHING)
    return np.where(nothing, NOTHING, found) if of_nothing else found


@dataclass(frozen=True)
class _Sizes:
    """How large what is unusual is."""

    shares: Values
    """From 0 to 1, for each place: all inputs have the same."""
    band: float
    powers: tuple[float, float]


def _placed(rng: Generator, kinds: NDArray[np.int64], sizes: _Sizes, values: Values) -> Values:
    """The values with those of some kinds in their places; signs are each input's own."""
    signs = np.where(rng.random(kinds.shape) < 1 / 2, -1.0, 1.0)
    jitter = signs * (1.0 + values / 64)
    is_zero = (kinds == _ZERO) & (rng.random(kinds.shape) < _ZERO_OF_ONE)
    found = np.where(is_zero, 0.0, values)
    found = np.where(kinds == _BAND, sizes.band * sizes.shares * jitter, found)
    low, high = sizes.powers
    powers = np.exp2(low + (high - low) * sizes.shares)
    return np.asarray(np.where(kinds == _POWER, powers * jitter, found))


def stated(op: Op, expected: Sequence[Expected], baseline: Arrays) -> tuple[Expected, ...]:
    """What is asked there: all but the rows in which the baseline itself is wrong.

    Much of what comes together cancels or leaves the range of 16 bits on the way.
    """
    pairs = zip(op.outputs, expected, strict=True)
    return tuple(_freed(want, baseline[tensor.name]) for tensor, want in pairs)


def _freed(want: Expected, baseline: NDArray[np.generic]) -> Expected:
    if not isinstance(want, Within) or not want.value.ndim:
        return want
    wrong = want.errors(baseline)[1] > 1.0
    rows = np.broadcast_to(wrong.any(axis=-1, keepdims=True), wrong.shape)
    return replace(want, free=rows) if wrong.any() else want


def _is_float(tensor: Tensor) -> bool:
    return tensor.dtype == ELEMENT or tensor.dtype in FLOAT_DTYPES
