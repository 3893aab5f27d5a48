"""`Set`: the elements along the last axis, in any order, each as often as the oracle has it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.judge.matching.difference import Difference
from foundry.judge.matching.equal import Equal
from foundry.judge.matching.within import Within


@dataclass(frozen=True)
class Unordered:
    """What is expected once both sides are sorted."""

    inner: Equal | Within

    @property
    def nbytes(self) -> int:
        """Memory it holds."""
        return self.inner.nbytes

    def compare(self, got: NDArray[Any]) -> Difference:
        """See `Expected.compare`."""
        ordered = np.take_along_axis(got, np.argsort(_keys(got), axis=-1), -1)
        order = np.argsort(self.inner.value, axis=-1)
        want = np.take_along_axis(self.inner.value, order, -1)
        if isinstance(self.inner, Equal):
            return _in_order(Equal(want).compare(ordered))
        within = Within(want, np.take_along_axis(self.inner.bound, order, -1))
        error, ratio = within.errors(ordered)
        for row in np.argwhere((ratio > 1.0).any(axis=-1)):
            at = tuple(row)
            if _assigned(ordered[at], within.value[at], within.bound[at]):
                ratio[at] = np.minimum(ratio[at], 1.0)
        if ratio.max() <= 1.0:
            return Difference(float(error.max()), float(ratio.max()))
        return _in_order(within.compare(ordered))


def _keys(got: NDArray[Any]) -> NDArray[Any]:
    return got if got.dtype.kind in "iub" else got.astype(np.float64)


def _assigned(got: NDArray[Any], want: NDArray[Any], bound: NDArray[Any]) -> bool:
    """Whether every value of a sorted row finds a place of its own within whose bound it lies.

    Among the places open to a value, the one that ends first is taken: no other choice does better.
    """
    places = sorted(zip(want - bound, want + bound, strict=True), key=lambda place: -place[0])
    ends: list[float] = []
    for value in _keys(got):
        while places and places[-1][0] <= value:
            heapq.heappush(ends, places.pop()[1])
        if not ends or not heapq.heappop(ends) >= value:
            return False
    return True


def _in_order(difference: Difference) -> Difference:
    if difference.fault is None:
        return difference
    fault = f"once its rows are sorted, {difference.fault}"
    return Difference(difference.max_abs_error, difference.bound_ratio, fault)
