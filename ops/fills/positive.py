"""Numbers above zero."""

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
class Positive(Plain):
    """Normal numbers above zero, down to the smallest of the dtype."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The sizes of what is dealt."""
        least = 2.0**-14 if dtype == "float16" else 2.0**-126
        found = np.maximum(folded(values(rng, shape, dtype)), least)
        return np.asarray(found).astype(numpy_dtype(dtype))

    def unfit(self, dtype: str) -> str:
        """Only floats have normal numbers."""
        return "" if dtype in FLOAT_DTYPES else "Positive fills floats"

    def in_words(self) -> str:
        """What they are."""
        return "above zero"
