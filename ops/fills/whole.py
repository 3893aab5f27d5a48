"""Whole numbers, bit patterns and truth values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype
from ops.fills.base import Plain, Shape, Sizes, Values, Whole
from ops.fills.shares import shares, whole


@dataclass(frozen=True)
class Int(Whole):
    """Whole numbers from `low` to `high`, both included; None: the end of the dtype."""

    low: int | None = None
    high: int | None = None

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The distribution spread over the range."""
        low, high = self._range(dtype)
        steps = whole(shares(rng, shape, dtype, values), high - low + 1)
        # Modulo 2^64, so that a range of 64 bits with a negative end needs no wider integer.
        with np.errstate(over="ignore"):
            moved = steps + np.uint64(low % 2**64)
        return np.asarray(moved.view(np.int64) if low < 0 else moved).astype(numpy_dtype(dtype))

    def _range(self, dtype: str) -> tuple[int, int]:
        info = np.iinfo(numpy_dtype(dtype))
        low = int(info.min) if self.low is None else self.low
        return low, int(info.max) if self.high is None else self.high

    def unfit(self, dtype: str) -> str:
        """The range must lie within the dtype's."""
        if said := super().unfit(dtype):
            return said
        for end in (self.low, self.high):
            if not isinstance(end, int | None) or isinstance(end, bool):
                return f"Int has an end {end!r}; give a whole number"
        low, high = self._range(dtype)
        info = np.iinfo(numpy_dtype(dtype))
        if low > high:
            return f"Int has low {low} and high {high}; low must not be more"
        return "" if info.min <= low and high <= info.max else f"{low} to {high} is too wide"

    def in_words(self) -> str:
        """The range."""
        low = "" if self.low is None else f"from {self.low}"
        high = "" if self.high is None else f"up to {self.high}"
        return " ".join(filter(None, (low, high)))


@dataclass(frozen=True)
class Bits(Whole):
    """Every pattern of the integer, each equally likely: packed words, codes, masks of bits."""

    without: tuple[int, ...] = ()
    """Patterns, as unsigned numbers, that never occur: the codes of a NaN. 0 takes their place."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """A pattern for every value that is dealt: equal values have equal patterns."""
        salt = rng.integers(0, 2**64, dtype=np.uint64)
        drawn = np.ascontiguousarray(values(rng, shape, dtype), dtype=np.float64)
        mixed = _mixed(drawn.reshape(shape).view(np.uint64) ^ salt)
        kind = numpy_dtype(dtype)
        patterns = (mixed >> np.uint64(64 - 8 * kind.itemsize)).astype(f"u{kind.itemsize}")
        patterns = np.where(np.isin(patterns, self.without), 0, patterns).astype(patterns.dtype)
        return np.asarray(patterns).view(kind)

    def in_words(self) -> str:
        """The patterns."""
        left_out = ", ".join(map(hex, self.without))
        return f"any pattern but {left_out}" if left_out else "any pattern of bits"


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A one-to-one scramble of 64 bits, as MurmurHash3 ends: every bit moves all others."""
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        words = (words ^ (words >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return words ^ (words >> np.uint64(33))


@dataclass(frozen=True)
class Bool(Plain):
    """True and false."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """True where the value that is dealt is positive."""
        return np.asarray(values(rng, shape, dtype) > 0)

    def unfit(self, dtype: str) -> str:
        """Only booleans."""
        return "" if dtype == "bool_" else "Bool fills bool_"
