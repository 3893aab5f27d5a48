"""What a fill is: the rule that the values of an input keep, whatever distribution is dealt.

The judge deals a distribution, such as `ties` or `extreme`, as a function of float64 values. A fill
turns those values into ones that its tensor may hold and keeps their character: equal values stay
equal, sorted ones sorted, and one value that is changed changes one element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.texts.expressions import Expression

Shape = tuple[int, ...]
Sizes = Mapping[str, int]
"""Axis sizes of a workload, by name."""
Values = Callable[[Generator, Shape, str], NDArray[np.float64]]
"""The distribution that is dealt: `(rng, shape, dtype) -> float64 values`, finite in the dtype."""


@runtime_checkable
class Fill(Protocol):
    """What fills an input."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """Values for a tensor.

        Args:
            rng: All chance comes from here.
            shape: Shape of the tensor.
            dtype: MLX name of its dtype, and of the result's.
            sizes: Axis sizes of the workload.
            values: The distribution that is dealt.
        """
        ...

    def refusal(self, shape: Shape, sizes: Sizes) -> str:
        """Why no values exist for this shape and these sizes, in words; empty where they do."""
        ...

    def unfit(self, dtype: str) -> str:
        """Why a dtype cannot hold the values, in words; empty where it can."""
        ...

    def expressions(self) -> tuple[Expression, ...]:
        """What it computes from the axes, to be held against their names."""
        ...

    def in_words(self) -> str:
        """The rule, for a prompt, such as `indices below rows`; empty where all values occur."""
        ...


class Plain:
    """A fill of any shape and any dtype that needs no axis: what most fills start from."""

    def refusal(self, shape: Shape, sizes: Sizes) -> str:
        """None: values of every shape exist."""
        return ""

    def unfit(self, dtype: str) -> str:
        """None: every dtype will do."""
        return ""

    def expressions(self) -> tuple[Expression, ...]:
        """None."""
        return ()

    def in_words(self) -> str:
        """Nothing: every value may occur."""
        return ""


class Whole(Plain):
    """A fill for integers."""

    def unfit(self, dtype: str) -> str:
        """Floats and booleans are refused."""
        return "" if "int" in dtype else f"{type(self).__name__} fills integers"
