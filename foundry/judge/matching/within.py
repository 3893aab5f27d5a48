"""`Close`: within the bounds of the error model, finite wherever the oracle is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.judge.matching.difference import Difference, describe, first, poisoned


@dataclass(frozen=True)
class Within:
    """The oracle, and how far each element may be from it."""

    value: NDArray[Any]
    bound: NDArray[np.float64]
    free: NDArray[np.bool_] | None = None
    """Elements of which nothing is asked; None: there are none."""
    overflowing: NDArray[np.bool_] | None = None
    """Elements at which a right kernel may leave the range on the way: infinity and NaN will do."""

    @property
    def nbytes(self) -> int:
        """Memory it holds."""
        return self.value.nbytes + self.bound.nbytes

    def compare(self, got: NDArray[Any]) -> Difference:
        """See `Expected.compare`."""
        error, ratio = self.errors(got)
        worst = float(ratio.max())
        if worst <= 1.0:
            return Difference(float(error.max()), worst)
        where = first(ratio == worst)
        claim = f"expected {self.value[where]:.9g}"
        if np.isfinite(self.value[where]):
            claim += f" within {self.bound[where]:.2g}"
        return Difference(float(error.max()), worst, describe(got, where, claim, ratio > 1.0))

    def errors(self, got: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Error of every element, absolute and over its bound; infinite where nothing would do."""
        want, bound, limit = self.value, self.bound, _largest(got.dtype)
        wide = got.astype(np.float64)
        with np.errstate(all="ignore"):
            error = np.abs(wide - want)
            ratio = error / bound
        is_plain = self.free is None and np.isfinite(ratio).all()
        if is_plain and (np.abs(want) <= limit).all():
            return error, ratio
        finite = np.isfinite(want) & (np.abs(want) <= limit)
        with np.errstate(all="ignore"):
            # A right result this close to the end of the range may round beyond it.
            ends = finite & np.isinf(wide) & (np.abs(want) + bound >= limit)
            wide = np.where(ends, np.clip(wide, -limit, limit), wide)
            error = np.where(finite, np.abs(wide - want), 0.0)
            same = np.where(np.isnan(want), np.isnan(wide) & ~poisoned(got), True)
            beyond = ~finite & ~np.isnan(want)
            same &= np.where(beyond, _will_do(wide, want, bound, limit), True)
            ratio = np.where(same, np.where(finite, error / bound, 0.0), np.inf)
        ratio = np.where(np.isnan(ratio), np.inf, ratio)
        if self.overflowing is not None:
            lost = self.overflowing & ~np.isfinite(wide) & ~poisoned(got)
            error, ratio = np.where(lost, 0.0, error), np.where(lost, 0.0, ratio)
        if self.free is not None:
            error, ratio = np.where(self.free, 0.0, error), np.where(self.free, 0.0, ratio)
        return np.where(np.isfinite(error), error, np.inf), ratio


def _will_do(
    wide: NDArray[np.float64], want: NDArray[Any], bound: NDArray[np.float64], limit: float
) -> NDArray[np.bool_]:
    """Whether elements will do where the oracle leaves the range of the dtype.

    Infinity or the last number does; where the bound reaches back into the range, or beyond its
    other end, so does what lies there.
    """
    as_far = wide * np.sign(want) >= 0.99 * limit
    other_end = (np.isposinf(wide) & (want + bound >= limit)) | (
        np.isneginf(wide) & (want - bound <= -limit)
    )
    found: NDArray[np.bool_] = as_far | other_end | (np.abs(wide - want) <= bound)
    return found


def _largest(dtype: np.dtype[Any]) -> float:
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).max)
    if dtype.name == "float16":
        return 65504.0
    return 3.3895313892515355e38 if dtype.name == "bfloat16" else 3.4028234663852886e38
