"""Fills around another fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype
from ops.fills.base import Fill, Shape, Sizes, Values
from ops.texts.expressions import Expression


@dataclass(frozen=True)
class _Around:
    """What holds for the inner fill holds for the outer one."""

    inner: Fill

    def refusal(self, shape: Shape, sizes: Sizes) -> str:
        """As the inner one."""
        return self.inner.refusal(shape, sizes)

    def unfit(self, dtype: str) -> str:
        """As the inner one."""
        if isinstance(self.inner, type) or not isinstance(self.inner, Fill):
            kind = type(self).__name__
            return f"{kind} holds {self.inner!r}; give it another fill, such as {kind}(Int(0, 9))"
        return self.inner.unfit(dtype)

    def expressions(self) -> tuple[Expression, ...]:
        """As the inner one."""
        return self.inner.expressions()


@dataclass(frozen=True)
class Sorted(_Around):
    """Another fill's values, ascending along the last axis: rows grouped by expert."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """Draw, then sort."""
        drawn = self.inner.draw(rng, shape, dtype, sizes, values)
        return np.sort(drawn, axis=-1) if shape else drawn

    def in_words(self) -> str:
        """The inner rule, and the order."""
        return ", ".join(filter(None, (self.inner.in_words(), "ascending along the last axis")))


@dataclass(frozen=True)
class Padded(_Around):
    """Another fill's values, with a tail of `value` in every row, of a length drawn by chance.

    A block table: the blocks a sequence has, then -1. Some rows have no tail, some nothing else.
    """

    value: int = -1

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """Draw, then cover the tails."""
        ends = tails(rng, shape)
        drawn = self.inner.draw(rng, shape, dtype, sizes, values)
        if not shape:
            return drawn
        covered = np.arange(shape[-1]) >= ends
        return np.where(covered, numpy_dtype(dtype).type(self.value), drawn)

    def unfit(self, dtype: str) -> str:
        """The padding must be a value of the dtype."""
        if said := super().unfit(dtype):
            return said
        info = np.iinfo(numpy_dtype(dtype)) if "int" in dtype else None
        if info is None or info.min <= self.value <= info.max:
            return ""
        return f"pads with {self.value}, which is not in {dtype}"

    def in_words(self) -> str:
        """The inner rule, and the padding."""
        return ", ".join(filter(None, (self.inner.in_words(), f"then {self.value} to the end")))


def tails(rng: Generator, shape: Shape) -> NDArray[np.int64]:
    """Where the padding of each row begins, one column wide: in every third row at its end."""
    rows, length = (*shape[:-1], 1), shape[-1] if shape else 0
    ends = rng.integers(0, length + 1, rows)
    return np.where(rng.integers(0, 3, rows) == 0, length, ends)
