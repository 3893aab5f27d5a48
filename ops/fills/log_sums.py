"""Logarithms of sums, of nothing too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype
from ops.fills.base import Shape, Sizes, Values
from ops.fills.real import Real

_OF_NOTHING = 1 / 4
"""Of the elements: two inputs have none in the same place now and then."""
_IN_PRACTICE = -1e30


@dataclass(frozen=True)
class LogSums(Real):
    """Numbers; in some places -infinity or -1e30, the logarithm of a sum without terms."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """What is dealt, and nothing in places that do not depend on it."""
        is_nothing, is_infinite = rng.random(shape) < _OF_NOTHING, rng.random(shape) < 1 / 2
        dealt = super().draw(rng, shape, dtype, sizes, values)
        nothing = np.where(is_infinite, -np.inf, _IN_PRACTICE)
        return np.where(is_nothing, nothing, dealt).astype(numpy_dtype(dtype))

    def unfit(self, dtype: str) -> str:
        """A half has no -1e30."""
        fitting = dtype in ("float32", "bfloat16")
        return super().unfit(dtype) if fitting else "LogSums fills float32 and bfloat16"

    def in_words(self) -> str:
        """What it is."""
        return "any number, -1e30 and -infinity"
