"""`Exact`: equal element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundry.judge.matching.difference import Difference, describe, first, is_nan


@dataclass(frozen=True)
class Equal:
    """The oracle's values once they are rounded to the dtype of the output; NaN equals NaN."""

    value: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Memory it holds."""
        return self.value.nbytes

    def compare(self, got: NDArray[Any]) -> Difference:
        """See `Expected.compare`."""
        want = self.value.astype(got.dtype)
        same = (got == want) | (is_nan(got) & is_nan(want))
        if same.all():
            return Difference()
        where = first(~same)
        with np.errstate(all="ignore"):
            error = np.abs(got.astype(np.float64) - want.astype(np.float64))
        worst = float(np.nanmax(np.where(np.isfinite(error), error, np.inf)))
        fault = describe(got, where, f"expected exactly {want[where]}", ~same)
        return Difference(worst, float("inf"), fault)
