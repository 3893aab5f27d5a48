"""Results of 16 bits that are cut off where they should be rounded: each within its bound.

An element may be off by more than one rounding, so no bound tells a result that always goes one way
from one that goes to the nearest number. Many elements of several rows together do: where both ways
differ, a right kernel takes the nearest. One that rounded a number before, which a whole row
shares, moves the row one way, and yet not every element by as much as it takes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NARROW = ("float16", "bfloat16")
_LOOKED_AT = 1 << 13
_FEWEST, _FEWEST_ROWS = 128, 4
"""Different results that say something, and rows that they lie in."""
_MOST = 0.98
"""Share of them that may go one way. What was rounded before makes a half, and a number that a row
shares has made three quarters."""

Wide = NDArray[np.float64]


def cut_off(got: NDArray[Any], want: Wide) -> str | None:
    """Where results always go instead of to the nearest number, as a clause; None: nowhere.

    Args:
        got: An output.
        want: What the oracle gives, unrounded, of the same shape.
    """
    is_narrow, rows = got.dtype.name in _NARROW, math.prod(got.shape[:-1])
    if not is_narrow or got.size < _FEWEST or rows < _FEWEST_ROWS:
        return None
    step = -(-got.size // _LOOKED_AT)
    exact, first = np.unique(want.reshape(-1)[::step], return_index=True)
    have = got.reshape(-1)[::step][first].astype(np.float64)
    with np.errstate(all="ignore"):
        nearest, below, above = _neighbours(exact, got.dtype)
    is_told = np.isfinite(below) & np.isfinite(above) & (below != above)
    ways = {
        "toward zero": np.where(exact > 0, below, above),
        "away from zero": np.where(exact > 0, above, below),
        "down": below,
        "up": above,
    }
    for way, to in ways.items():
        differs = is_told & (to != nearest)
        count, gone = int(differs.sum()), int((have == to)[differs].sum())
        if count >= _FEWEST and gone > _MOST * count:
            return (
                f"it is rounded {way}: of {count} elements where that is not the nearest number, "
                f"{gone} are"
            )
    return None


def _neighbours(exact: Wide, dtype: np.dtype[Any]) -> tuple[Wide, Wide, Wide]:
    """The nearest number of a dtype, and those on either side; all are equal where it has it."""
    near = exact.astype(dtype)
    nearest = near.astype(np.float64)
    lower = np.nextafter(near, dtype.type(-np.inf)).astype(np.float64)
    upper = np.nextafter(near, dtype.type(np.inf)).astype(np.float64)
    below = np.where(nearest <= exact, nearest, lower)
    above = np.where(nearest >= exact, nearest, upper)
    return nearest, below, above
