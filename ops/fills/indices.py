"""Indices: places in an axis, with repetition or without, in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype
from ops.fills.base import Shape, Sizes, Values, Whole
from ops.fills.shares import chance, shares, whole
from ops.texts.expressions import Expression, evaluate


@dataclass(frozen=True)
class Index(Whole):
    """Integers from 0 to `below - 1`: every one occurs, and some again and again."""

    below: Expression

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The distribution spread over the indices."""
        spread = shares(rng, shape, dtype, values)
        return whole(spread, evaluate(self.below, sizes)).astype(numpy_dtype(dtype))

    def refusal(self, shape: Shape, sizes: Sizes) -> str:
        """There is no index below 0."""
        if evaluate(self.below, sizes) > 0 or math.prod(shape) == 0:
            return ""
        return f"holds indices below {self.below}, which is {evaluate(self.below, sizes)}"

    def expressions(self) -> tuple[Expression, ...]:
        """The bound."""
        return (self.below,)

    def in_words(self) -> str:
        """The bound."""
        return f"indices below {self.below}"


@dataclass(frozen=True)
class Distinct(Whole):
    """Integers from 0 to `below - 1`, none of them twice in the whole tensor."""

    below: Expression

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The first of a shuffled range."""
        source = chance(rng, shape, dtype, values)
        chosen = source.permutation(evaluate(self.below, sizes))[: math.prod(shape)]
        return chosen.reshape(shape).astype(numpy_dtype(dtype))

    def refusal(self, shape: Shape, sizes: Sizes) -> str:
        """There must be as many integers as elements."""
        count, below = math.prod(shape), evaluate(self.below, sizes)
        return "" if count <= below else f"holds {count} distinct indices, and only {below} exist"

    def expressions(self) -> tuple[Expression, ...]:
        """The bound."""
        return (self.below,)

    def in_words(self) -> str:
        """The bound."""
        return f"indices below {self.below}, none twice"


@dataclass(frozen=True)
class Permutation(Whole):
    """Along the last axis, every integer from 0 to its size less one, once."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The order that sorts the values that are dealt."""
        drawn = values(rng, shape, dtype)
        order = np.argsort(drawn, axis=-1, kind="stable") if shape else np.zeros(())
        return order.astype(numpy_dtype(dtype))

    def in_words(self) -> str:
        """Of what it is a permutation."""
        return "a permutation along the last axis"
