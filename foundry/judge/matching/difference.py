"""The outcome of a comparison, and the words for a wrong element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """The outcome of one comparison."""

    max_abs_error: float = 0.0
    bound_ratio: float = 0.0
    """Largest error divided by its bound; infinite where no bound could hold."""
    fault: str | None = None
    """None: right. Otherwise what is wrong with which element, as one clause."""


class Expected(Protocol):
    """What one output should be."""

    @property
    def nbytes(self) -> int:
        """Memory it holds."""

    def compare(self, got: NDArray[Any]) -> Difference:
        """Hold an output that is not empty, of the right shape and dtype, against it."""


def wrong(fault: str) -> Difference:
    """A difference that no bound could hold."""
    return Difference(float("inf"), float("inf"), fault)


def describe(
    got: NDArray[Any], where: tuple[int, ...], claim: str, faulty: NDArray[np.bool_]
) -> str:
    """One clause on an output: the element at `where`, what it should be, and how many are wrong.

    Args:
        got: The output.
        where: The element to name.
        claim: What is said of it, such as `expected 2 within 1e-06`.
        faulty: Which elements are wrong.
    """
    unwritten = faulty & poisoned(got)
    # Bits that no float has; a wrong integer may well be -1 or 255, beside others that are wrong.
    if unwritten.any() and (got.dtype.kind not in "iub" or not (faulty & ~unwritten).any()):
        return (
            f"{int(unwritten.sum())} of {faulty.size} elements were never written, "
            f"the first at {list(first(unwritten))}"
        )
    value = got[where]
    shown = f"{float(value):.9g}" if got.dtype.kind not in "iub" else str(value)
    count = f"{int(faulty.sum())} of {faulty.size} elements are wrong"
    at = list(first(faulty))
    return f"at {list(where)} it is {shown}, {claim}; {count}, the first at {at}"


def first(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first element that is true."""
    index = np.unravel_index(int(np.argmax(mask)), mask.shape)
    return tuple(int(i) for i in index)


def is_nan(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which elements are no number, in any dtype."""
    nan: NDArray[np.bool_] = array != array
    return nan


def poisoned(got: NDArray[Any]) -> NDArray[np.bool_]:
    """Elements that still hold the 0xFF bytes that were there before the launch."""
    raw = np.ascontiguousarray(got).view(np.uint8).reshape(*got.shape, got.dtype.itemsize)
    poisoned: NDArray[np.bool_] = (raw == 0xFF).all(axis=-1)
    return poisoned
