"""Values that an op draws for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype
from ops.errors import UsageError
from ops.fills.base import Plain, Shape, Sizes, Values

Draw = Callable[[Generator, Shape, str, Sizes, Values], NDArray[Any]]


@dataclass(frozen=True)
class Custom(Plain):
    """What a function of the op draws: `fn(rng, shape, dtype, sizes, values) -> array`."""

    fn: Draw

    def unfit(self, dtype: str) -> str:
        """Only a function draws."""
        return "" if callable(self.fn) else f"Custom holds {self.fn!r}; give it a function"

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """The function's array in the tensor's dtype.

        Raises:
            UsageError: The function fails, or its array has another shape.
        """
        try:
            with np.errstate(over="ignore"):  # a number too large for a dtype is its infinity
                found = np.asarray(self.fn(rng, shape, dtype, sizes, values))
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise UsageError(f"the function of a Custom fill fails: {said}; correct it") from error
        if found.shape != shape:
            raise UsageError(
                f"a Custom fill drew shape {list(found.shape)} for {list(shape)}; correct the op"
            )
        with np.errstate(over="ignore"):
            return found.astype(numpy_dtype(dtype))
