"""Matches: how an output of an op is compared with its oracle."""

from __future__ import annotations

from dataclasses import dataclass

from ops.expressions import Expression


@dataclass(frozen=True)
class Close:
    """Every element lies within the bound of the error model."""

    reduction: Expression = 1
    """Number of terms summed into one element of this output: an expression over the axes. The
    bound grows with it."""


@dataclass(frozen=True)
class Exact:
    """Equal element by element in the output's dtype: integers, copies, selections."""


Match = Close | Exact
