"""Matches: how an output of an op is compared with its oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ops.texts.expressions import Expression

Keys = Callable[[Mapping[str, NDArray[Any]], Any], NDArray[Any]]
"""Keys from the inputs as an oracle gets them and the workload."""


@dataclass(frozen=True)
class Close:
    """Every element lies within the bound of the error model.

    For an output of integers the oracle gives the value before it is rounded to the nearest, and
    the bound is half a step wider: a quantiser that rounds another way where two are as near.
    """

    reduction: Expression = 1
    """Number of terms summed into one element of this output: an expression over the axes. The
    bound grows with it."""


@dataclass(frozen=True)
class Exact:
    """Equal element by element in the output's dtype: integers, copies, selections."""


@dataclass(frozen=True)
class Ties:
    """Indices: any index is right that points at a key equal to the one the oracle points at.

    Where the oracle's indices along the axis are distinct, so must these be. The order of the keys
    counts; an op that gives values beside the indices says so in the order of its values.
    """

    by: str | Keys
    """The input that is indexed, or a function that gives the keys in float64 (`sigmoid(x) + b`):
    keys that are computed count as equal within the error model."""
    axis: int = -1
    """The axis of the keys that is indexed. The output has their shape, with any number of indices
    on this axis, or without this axis where there is one index only."""
    reduction: Expression = 1
    """Number of terms summed into a key that is computed."""


@dataclass(frozen=True)
class Set:
    """The last axis is compared without order, every element as often as the oracle has it.

    Integers are compared exactly, floats within the error model. Two outputs that go in pairs need
    an order instead: sets do not know their partners.
    """

    reduction: Expression = 1
    """Number of terms summed into one element."""


@dataclass(frozen=True)
class Distribution:
    """Outcomes drawn at random: integers from 0 to `outcomes` - 1.

    The oracle gives probabilities, with one more, last axis over the outcomes. No outcome of
    probability 0 may occur, and the outcomes of all elements together must follow the
    probabilities; the test refuses a right sampler once in a million. One hidden case must have
    some thousand elements: few outcomes prove nothing.
    """

    outcomes: Expression
    """Number of outcomes: an expression over the axes."""
    source: str = ""
    """The input that brings the randomness, filled with `Real(0, 1)`, `Bits()` or `Index(...)`: its
    elements are independent whatever else is drawn. Empty: a parameter does."""


Match = Close | Exact | Ties | Set | Distribution
