"""Documents packed into one axis: by the segment of each position, or by where each begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype
from ops.expressions import Expression, evaluate
from ops.fills.around import tails
from ops.fills.base import Shape, Sizes, Values, Whole
from ops.fills.shares import chance


@dataclass(frozen=True)
class Segments(Whole):
    """The document of each position along the last axis: 0 0 0 1 2 2 -1 -1.

    Documents lie side by side, numbered from 0, of any length from 1; a tail of the row may belong
    to none, which is -1.
    """

    documents: Expression | None = None
    """How many documents a row has at most; None: as many as positions."""
    padding: bool = True
    """Whether rows may end in -1."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """Every row cut at places of its own."""
        found = np.zeros(shape, dtype=np.int64)
        if not found.size:
            return found.astype(numpy_dtype(dtype))
        source = chance(rng, shape, dtype, values)
        most = shape[-1] if self.documents is None else evaluate(self.documents, sizes)
        for row in found.reshape(-1, shape[-1]):
            row[:] = np.cumsum(_beginnings(source, len(row), most))
        if self.padding:
            found[np.arange(shape[-1]) >= tails(source, shape)] = -1
        return found.astype(numpy_dtype(dtype))

    def refusal(self, shape: Shape, sizes: Sizes) -> str:
        """Positions need an axis to lie along, and a document to belong to."""
        if not shape:
            return "is a scalar; segments lie along an axis"
        if self.documents is None or evaluate(self.documents, sizes) > 0 or 0 in shape:
            return ""
        return f"has at most {self.documents} documents, which is 0"

    def unfit(self, dtype: str) -> str:
        """Padding is -1, which only signed integers hold."""
        if self.padding and dtype.startswith("uint"):
            return "Segments with padding needs a signed dtype"
        return super().unfit(dtype)

    def expressions(self) -> tuple[Expression, ...]:
        """The number of documents."""
        return () if self.documents is None else (self.documents,)

    def in_words(self) -> str:
        """What is numbered."""
        most = "" if self.documents is None else f", at most {self.documents} of them"
        tail = ", then -1 to the end" if self.padding else ""
        return f"the segment of each position, ascending from 0{most}{tail}"


def _beginnings(rng: Generator, length: int, most: int) -> NDArray[np.int64]:
    """1 where a document begins that is not the first; every other row has one of length 1."""
    marks = np.zeros(length, dtype=np.int64)
    free = min(most, length) - 1
    cuts = math.floor(math.exp(rng.uniform(0.0, math.log(free + 2)))) - 1 if free > 0 else 0
    if cuts > 0:
        places = 1 + rng.permutation(length - 1)[:cuts]
        if cuts > 1 and length > 2 and rng.integers(2):
            places[1] = places[0] + 1 if places[0] + 1 < length else places[0] - 1
        marks[places] = 1
    return marks


@dataclass(frozen=True)
class Offsets(Whole):
    """Where each span begins along an axis of `total`, and `total` at the end: 0 3 3 7.

    The last axis has one element more than there are spans; some spans are empty.
    """

    total: Expression

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """Sorted places, in every other row one of them twice."""
        source, total = chance(rng, shape, dtype, values), evaluate(self.total, sizes)
        found = np.sort(source.integers(0, total + 1, shape), axis=-1)
        if shape[-1] >= 4:
            again = np.where(source.integers(0, 2, shape[:-1]) == 0, found[..., 1], found[..., 2])
            found[..., 2] = again
        found[..., -1:] = total
        found[..., :1] = 0
        return found.astype(numpy_dtype(dtype))

    def refusal(self, shape: Shape, sizes: Sizes) -> str:
        """A row of one element is first and last, so nothing can be spanned."""
        if not shape:
            return "is a scalar; offsets lie along an axis"
        total = evaluate(self.total, sizes)
        if math.prod(shape) and (shape[-1] < 2 and total > 0):
            return f"has no span, and {self.total} is {total}"
        return f"spans {self.total}, which is {total}" if total < 0 else ""

    def expressions(self) -> tuple[Expression, ...]:
        """What is spanned."""
        return (self.total,)

    def in_words(self) -> str:
        """What is spanned."""
        return f"where each span begins, ascending from 0 to {self.total}"
