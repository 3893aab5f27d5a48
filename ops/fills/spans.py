"""Documents packed into one axis: by the segment of each position, or by where each begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ops.dtypes import numpy_dtype
from ops.fills.around import tails
from ops.fills.base import Shape, Sizes, Values, Whole
from ops.fills.shares import chance
from ops.texts.expressions import Expression, evaluate

LONG = 8192
"""Places from which on a row is long."""


@dataclass(frozen=True)
class Segments(Whole):
    """The document of each position along the last axis: 0 0 0 1 2 2 -1 -1.

    Documents lie side by side, numbered from 0, of any length from 1; a tail of the row may belong
    to none, which is -1. Rows of `LONG` places and more may hold as many documents as are asked
    for, as those of published benchmarks do.
    """

    documents: Expression | None = None
    """How many documents a row has at most; None: as many as positions."""
    padding: bool = True
    """Whether rows may end in -1."""
    packed: int = 0
    """How many documents a long row has, no more and no fewer; 0: as any other."""

    def draw(
        self, rng: Generator, shape: Shape, dtype: str, sizes: Sizes, values: Values
    ) -> NDArray[Any]:
        """Every row cut at places of its own."""
        found = np.zeros(shape, dtype=np.int64)
        if not found.size:
            return found.astype(numpy_dtype(dtype))
        source = chance(rng, shape, dtype, values)
        most = shape[-1] if self.documents is None else evaluate(self.documents, sizes)
        is_packed = self.packed > 0 and shape[-1] >= LONG
        for row in found.reshape(-1, shape[-1]):
            marks = _cut(source, len(row), self.packed - 1) if is_packed else None
            row[:] = np.cumsum(_beginnings(source, len(row), most) if marks is None else marks)
        if self.padding:
            ends = tails(source, shape)
            if is_packed:  # the last document keeps a place
                ends = np.maximum(ends, found.argmax(axis=-1, keepdims=True) + 1)
            found[np.arange(shape[-1]) >= ends] = -1
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
        packed = f"; {self.packed} of them from {LONG} positions on" if self.packed else ""
        return f"the segment of each position, ascending from 0{most}{tail}{packed}"


def _cut(rng: Generator, length: int, cuts: int) -> NDArray[np.int64]:
    """1 at that many places, none of them the first."""
    marks = np.zeros(length, dtype=np.int64)
    marks[1 + rng.permutation(length - 1)[:cuts]] = 1
    return marks


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
