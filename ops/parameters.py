"""Which values a parameter takes, so that kernels are tried with all kinds of them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from ops.errors import UsageError

Scalar = float | int | bool


@dataclass(frozen=True)
class Range:
    """Values of a number: from the least to the largest, and those that models use.

    Raises:
        UsageError: The ends are in the wrong order, or a usual value lies outside.
    """

    low: float
    high: float
    usual: tuple[float, ...] = ()
    """Values met in practice, each of which is tried."""

    def __post_init__(self) -> None:
        """Check the values against each other."""
        if not self.low <= self.high:
            ends = f"low {self.low} and high {self.high}"
            raise UsageError(f"a Range has {ends}; give numbers, low no more than high")
        for value in self.usual:
            if not self.low <= value <= self.high:
                raise UsageError(f"{value} is outside of the range {self.low} to {self.high}")

    def refusal(self, value: Scalar) -> str:
        """Why a value is none of these, in words: its sign; empty where that is as theirs.

        A size of blocks is not 0 and an epsilon not negative, but either may be beyond what kernels
        are tried with.
        """
        if not math.isfinite(value):
            return "finite"
        if self.low > 0 and value <= 0:
            return "above 0"
        if self.low == 0 and value < 0:
            return "at least 0"
        return "below 0" if self.high < 0 and value >= 0 else ""

    def values(self, default: Scalar, rng: random.Random) -> Iterator[Scalar]:
        """Both ends, what is usual, and one drawn, of the type of the default."""
        for value in (self.low, self.high, *self.usual, self._drawn(rng)):
            yield type(default)(round(value) if isinstance(default, int) else value)

    def _drawn(self, rng: random.Random) -> float:
        """Small and large are as likely where the ends have one sign."""
        if self.low > 0.0:
            return math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return rng.uniform(self.low, self.high)
