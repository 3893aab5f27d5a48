"""Probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import FLOAT_DTYPES, numpy_dtype
from ops.fills.base import Plain, Shape, Sizes, Values
from ops.fills.shares import folded


@dataclass(frozen=True)
class Simplex(Plain):
    """Along the last axis: nothing negative, and a sum of 1 but for rounding."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The sizes of what is dealt over their sum; a row of zeros becomes an even one."""
        if not shape:
            return np.ones((), dtype=numpy_dtype(dtype))
        weights = folded(values(rng, shape, dtype))
        empty = ~weights.any(axis=-1, keepdims=True)
        weights = np.where(empty, 1.0, weights)
        found = weights / weights.sum(axis=-1, keepdims=True)
        return np.asarray(found.astype(numpy_dtype(dtype)))

    def unfit(self, dtype: str) -> str:
        """Probabilities are floats."""
        return "" if dtype in FLOAT_DTYPES else "Simplex fills floats"

    def in_words(self) -> str:
        """What it is."""
        return "probabilities along the last axis"
