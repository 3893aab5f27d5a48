"""From a data set to a fit with its own errors in it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from foundry.chips.fitted import FAMILIES, Family, Fitted
from foundry.chips.fitting.accuracy import (
    Cost,
    Pair,
    first_choice,
    pairs,
    predicted,
    score,
    spearman,
)
from foundry.chips.fitting.fit import family_of, fit, leave_one_out, spread
from foundry.chips.fitting.measured import MeasuredRows
from foundry.chips.fitting.rows import Row, profiles, read_rows
from foundry.msl.gpu.profile import GpuProfile

APART = 1.25
"""Closer predictions are no answer."""
_UNKNOWN_SPREAD = 1.0


@dataclass(frozen=True)
class Data:
    """A data set with what its kernels do, and the model without the op that it speaks of."""

    rows: list[Row]
    profiles: dict[str, GpuProfile]
    pairs: list[Pair]
    left_out: Cost
    measured: int = 0
    """Rows of the user's own database."""


def data_of(path: Path, measured: MeasuredRows | None = None) -> Data:
    """Read a data set.

    Args:
        path: Of its CSV file.
        measured: Times of one's own, taken together with it.

    Raises:
        UsageError, InvalidKernel, LaunchFailed: A row or its kernel is no good.
    """
    rows = read_rows(path)
    found = profiles(rows, path)
    if measured is not None:
        rows, found = [*rows, *measured.rows], {**found, **measured.profiles}
    cost = predicted(found, leave_one_out(rows, found))
    own = len(measured.rows) if measured else 0
    return Data(rows, found, list(pairs(rows)), cost, own)


def refit(path: Path, data: Data, date: str) -> Fitted:
    """Fit the constants, and say how often the model is right leaving out the op it speaks of."""
    constants = fit(data.rows, data.profiles)
    families = {}
    for name in FAMILIES:
        own = [p for p in data.pairs if family_of(p.slow) == name]
        found = spread(own, data.left_out)
        families[name] = Family(constants[name], _UNKNOWN_SPREAD if math.isnan(found) else found)
    answered = score(data.pairs, data.left_out, APART)
    return Fitted(
        families,
        APART,
        {
            "date": date,
            "data": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "rows": len(data.rows),
            **({"measured_rows": data.measured} if data.measured else {}),
            "pairs": answered.pairs,
            "answered": round(answered.share_answered, 3),
            "right": round(answered.share_right, 3),
            "spearman": round(spearman(data.rows, data.left_out), 3),
            "first_choice": round(first_choice(data.rows, data.left_out), 3),
        },
    )
