"""`Distribution`: outcomes that are drawn as the oracle's probabilities say.

Every row has probabilities of its own, so the rows are pooled by the probability integral
transform: with the outcomes of a row in some order, u = P(before y) + v P(y), v uniform, is uniform
over 0 to 1 exactly when y is drawn as it should be. Two orders are taken, for each has a blind
spot: by number, and from the likeliest outcome to the least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from foundry.judge.matching.difference import Difference, describe, first

Unit = NDArray[np.float64]

FALSE_ALARM = 1e-6
"""Probability that outcomes drawn rightly are refused."""
_TESTS = 4
_PER_BIN = 32
"""Rows in one bin of the chi-square test: the tail of few rows is heavier than the tables say."""
_MOST_BINS = 65
_MARGIN = 10.0
"""The chi-square law is a limit; at this many rows its far tail is right within this factor."""


@dataclass(frozen=True)
class Sampled:
    """Probabilities over the outcomes, on a last axis that the output does not have."""

    probabilities: Unit
    seed: int
    """Draws what the transform needs; kernels do not know it."""

    @property
    def nbytes(self) -> int:
        """Memory it holds."""
        return self.probabilities.nbytes

    def compare(self, got: NDArray[Any]) -> Difference:
        """See `Expected.compare`."""
        count = self.probabilities.shape[-1]
        drawn = got.reshape(-1).astype(np.int64)
        rows = self.probabilities.reshape(-1, count)
        inside = (drawn >= 0) & (drawn < count)
        chance = rows[np.arange(len(rows)), np.where(inside, drawn, 0)]
        possible = (inside & (chance > 0)).reshape(got.shape)
        if not possible.all():
            claim = f"expected an outcome below {count} whose probability is not 0"
            return Difference(
                float("inf"), float("inf"), describe(got, first(~possible), claim, ~possible)
            )
        rng = np.random.default_rng(self.seed)
        by_number = _transformed(rows, drawn, rng)
        by_size = _transformed(*_likeliest_first(rows, drawn), rng)
        worst = max(_excess(by_number), _excess(by_size))
        fault = None if worst <= 1.0 else _said(by_number, by_size)
        return Difference(0.0, worst, fault)


def _transformed(rows: Unit, drawn: NDArray[np.int64], rng: Generator) -> Unit:
    """The probability integral transform of every row."""
    at = np.arange(len(rows)), drawn
    upto = np.cumsum(rows, axis=-1)
    total, own = upto[:, -1], rows[at]
    below: Unit = upto[at] - own
    return (below + own * rng.random(len(rows))) / total


def _likeliest_first(rows: Unit, drawn: NDArray[np.int64]) -> tuple[Unit, NDArray[np.int64]]:
    order = np.argsort(-rows, axis=-1, kind="stable")
    place = np.argmax(order == drawn[:, None], axis=-1)
    return np.take_along_axis(rows, order, -1), place


def _excess(u: Unit) -> float:
    """The larger of two statistics, each over the value that chance reaches too seldom."""
    return max(_largest_gap(u) / _rare_gap(len(u)), _spread(u))


def _largest_gap(u: Unit) -> float:
    """Largest distance of the share of values below t from t (Kolmogorov and Smirnov)."""
    ordered, steps = np.sort(u), np.arange(len(u) + 1) / len(u)
    return float(max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))


def _rare_gap(count: int) -> float:
    """The gap that chance exceeds with the probability of one test (Dvoretzky, Kiefer, Wolfowitz).

    It holds for every count, not only in the limit.
    """
    return math.sqrt(math.log(2.0 * _TESTS / FALSE_ALARM) / (2.0 * count))


def _spread(u: Unit) -> float:
    """Chi-square of equal bins, as the log of its probability over that of the false alarm."""
    bins = min(_MOST_BINS, len(u) // _PER_BIN)
    bins -= 1 - bins % 2
    if bins < 3:
        return 0.0
    counts = np.bincount(np.minimum((u * bins).astype(int), bins - 1), minlength=bins)
    mean = len(u) / bins
    chi_square = float(np.sum(np.square(counts - mean)) / mean)
    return _log_tail(chi_square, bins - 1) / math.log(FALSE_ALARM / (_TESTS * _MARGIN))


def _log_tail(chi_square: float, degrees: int) -> float:
    """Log of the probability that chi-square of an even number of degrees is exceeded."""
    half = chi_square / 2.0
    terms = [
        i * math.log(half) - math.lgamma(i + 1) if half else -math.inf
        for i in range(1, degrees // 2)
    ]
    return -half + float(np.logaddexp.reduce([0.0, *terms]))


def _said(by_number: Unit, by_size: Unit) -> str:
    order = "by number" if _excess(by_number) >= _excess(by_size) else "the likeliest first"
    u = by_number if order == "by number" else by_size
    quarters = np.bincount(np.minimum((u * 4).astype(int), 3), minlength=4)
    shares = ", ".join(f"{100 * n / len(u):.1f}" for n in quarters)
    return (
        f"its outcomes are not drawn with the probabilities asked: of {len(u)} outcomes, "
        f"{shares} % fall into the quarters of the distribution ({order}); expected 25 each"
    )
