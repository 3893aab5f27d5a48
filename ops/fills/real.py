"""Real numbers, in a range or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import FLOAT_DTYPES, numpy_dtype
from ops.fills.base import Plain, Shape, Sizes, Values
from ops.fills.shares import Shares, folded, shares


@dataclass(frozen=True)
class Real(Plain):
    """Floats from `low` to `high`, both ends included; None: no end on that side."""

    low: float | None = None
    high: float | None = None

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The values that are dealt, as they are or mapped into the range."""
        wide = self._wide(rng, shape, dtype, values)
        return self._inside(np.asarray(wide).astype(numpy_dtype(dtype)))

    def _wide(self, rng: Generator, shape: Shape, dtype: str, values: Values) -> Shares:
        if self.low is not None and self.high is not None:
            return self.low + (self.high - self.low) * shares(rng, shape, dtype, values)
        drawn = values(rng, shape, dtype)
        if self.low is not None:
            return self.low + folded(drawn)
        return drawn if self.high is None else self.high - folded(drawn)

    def _inside(self, rounded: NDArray[Any]) -> NDArray[Any]:
        """Rounding may step over an end that the dtype does not hold."""
        kind = rounded.dtype.type
        if self.low is not None:
            end = kind(self.low)
            least = np.nextafter(end, kind(np.inf)) if float(end) < self.low else end
            rounded = np.maximum(rounded, least)
        if self.high is not None:
            end = kind(self.high)
            most = np.nextafter(end, kind(-np.inf)) if float(end) > self.high else end
            rounded = np.minimum(rounded, most)
        return rounded

    def unfit(self, dtype: str) -> str:
        """Only floats are real."""
        for end in (self.low, self.high):
            if end is not None and (not isinstance(end, int | float) or not math.isfinite(end)):
                return f"Real has an end {end!r}; give a finite number, or leave the end out"
        if self.low is not None and self.high is not None and not self.low < self.high:
            return f"Real has low {self.low} and high {self.high}; low must be less"
        return "" if dtype in FLOAT_DTYPES else "Real fills floats"

    def in_words(self) -> str:
        """The range."""
        low = "" if self.low is None else f"from {self.low:g}"
        high = "" if self.high is None else f"up to {self.high:g}"
        return " ".join(filter(None, (low, high)))
