"""`Ties`: an index is right if what it points at is as good as what the oracle points at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.judge.matching.difference import Difference, describe, first, is_nan

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Tied:
    """The oracle's indices, and the keys that they order."""

    value: NDArray[Any]
    """Indices along `axis`; that axis is absent where there is one index only."""
    keys: NDArray[Any]
    slack: NDArray[np.float64] | None
    """How far two keys may be apart and still count as equal, half of it each; None: not at all."""
    axis: int

    @property
    def nbytes(self) -> int:
        """Memory it holds."""
        slack = 0 if self.slack is None else self.slack.nbytes
        return self.value.nbytes + self.keys.nbytes + slack

    def compare(self, got: NDArray[Any]) -> Difference:
        """See `Expected.compare`."""
        axis = self.axis % self.keys.ndim
        want, have = self._aligned(self.value, axis), self._aligned(got, axis)
        inside = (have >= 0) & (have < self.keys.shape[axis])
        aimed = np.where(inside, have, 0)
        error, allowed = self._apart(want, aimed, axis)
        equal = (error <= allowed) & inside
        again = _repeated(np.where(inside, have, -1), want, axis) & inside
        right = equal & ~again
        worst = float(np.max(error, where=inside, initial=0.0))
        if right.all():
            return Difference(worst, float(np.max(error / np.where(allowed, allowed, 1.0))))
        where = first(~right)
        claim = self._claim(
            where, want, aimed, inside=bool(inside[where]), again=bool(again[where])
        )
        place = where if got.ndim == have.ndim else where[:axis] + where[axis + 1 :]
        return Difference(
            worst, float("inf"), describe(got, place, claim, ~right.reshape(got.shape))
        )

    def _aligned(self, indices: NDArray[Any], axis: int) -> Whole:
        whole = indices.astype(np.int64)
        return whole if whole.ndim == self.keys.ndim else np.expand_dims(whole, axis)

    def _apart(self, want: Whole, have: Whole, axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """How far the keys of two sets of indices are apart, and how far they may be."""
        best = np.take_along_axis(self.keys, want, axis)
        found = np.take_along_axis(self.keys, have, axis)
        with np.errstate(all="ignore"):
            error = np.abs(found.astype(np.float64) - best.astype(np.float64))
        same = (found == best) | (is_nan(found) & is_nan(best))
        error = np.where(same, 0.0, np.where(is_nan(error), np.inf, error))
        if self.slack is None:
            # Two large integers can differ by less than a float64 shows.
            return np.where(same, 0.0, np.maximum(error, 5e-324)), np.zeros(error.shape)
        slack = np.take_along_axis(self.slack, want, axis)
        return error, slack + np.take_along_axis(self.slack, have, axis)

    def _claim(
        self, where: tuple[int, ...], want: Whole, have: Whole, *, inside: bool, again: bool
    ) -> str:
        axis = self.axis % self.keys.ndim
        count = self.keys.shape[axis]
        if not inside:
            return f"expected an index below {count}"
        if again:
            return "which is there already"
        best, found = (np.take_along_axis(self.keys, i, axis)[where] for i in (want, have))
        return f"which points at {found}; expected {want[where]} or another that points at {best}"


def _repeated(have: Whole, want: Whole, axis: int) -> NDArray[np.bool_]:
    """Which indices came before on their axis, although the oracle has another there."""
    order = np.argsort(have, axis=axis, kind="stable")
    sorted_have = np.take_along_axis(have, order, axis)
    sorted_want = np.take_along_axis(want, order, axis)
    same = np.diff(sorted_have, axis=axis) == 0
    other = np.diff(sorted_want, axis=axis) != 0
    shape = [(1, 0) if i == axis else (0, 0) for i in range(have.ndim)]
    found = np.zeros(have.shape, bool)
    np.put_along_axis(found, order, np.pad(same & other, shape), axis)
    return found
