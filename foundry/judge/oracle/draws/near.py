"""Inputs near nothing, and inputs near one another: where floors and differences show.

Values of an ordinary size never come near a floor under a sum or a norm, and inputs that are drawn
apart never come near each other: a divergence, or what is left of a difference, is always large.
Rows here lie at every distance, down to one at which rounding decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import FLOAT_DTYPES
from ops.spec import Op
from ops.workload import ELEMENT, Tensor

FAINT, ALIKE = "faint", "alike"
"""Distributions: rows of tiny values; inputs of one kind that hold nearly the same."""
_FAINT_EXPONENTS = MappingProxyType({"float16": (6.0, 11.0)})
"""How far below 1 a row lies, in powers of two: a half has few below."""
_FAINTEST = (6.0, 40.0)
_APART = (2.0, 24.0)
"""How far rows of two inputs lie from each other, in powers of two below their size."""
_EQUAL, _NEGATED = 1 / 6, 1 / 6
"""Of the rows."""

Values = NDArray[np.float64]


def faint(rng: Generator, shape: tuple[int, ...], dtype: str) -> Values:
    """Every row of a tiny size of its own."""
    values = rng.standard_normal(shape)
    sizes = np.exp2(-rng.uniform(*_FAINT_EXPONENTS.get(dtype, _FAINTEST), _column(shape)))
    return np.asarray(values * sizes)


def models(op: Op) -> Mapping[str, str]:
    """Inputs of floats whose shape, dtype and fill an earlier one has, and the name of that one."""
    first: list[Tensor] = []
    found: dict[str, str] = {}
    for tensor in op.inputs:
        model = next((t for t in first if _is_same_kind(t, tensor)), None)
        if model is None:
            first.append(tensor)
        elif tensor.dtype == ELEMENT or tensor.dtype in FLOAT_DTYPES:
            found[tensor.name] = model.name
    return found


def moved(values: Values, rng: Generator) -> Values:
    """Each row moved by a share of its own; some are not, and some are negated."""
    rows = _column(values.shape)
    shares = np.exp2(-rng.uniform(*_APART, rows)) * (rng.random(rows) >= _EQUAL)
    signs = np.where(rng.random(rows) < _NEGATED, -1.0, 1.0)
    return np.asarray(signs * values * (1.0 + shares * rng.standard_normal(values.shape)))


def _is_same_kind(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.dtype, one.fill) == (other.shape, other.dtype, other.fill)


def _column(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-1], 1) if shape else ()
