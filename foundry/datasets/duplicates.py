"""Finds kernels that say the same as another: exactly, after normalisation, or nearly.

Near means a Jaccard similarity of at least `NEAR` between the sets of 5-token shingles of the
normal forms, local names made equal. MinHash finds the pairs that are worth comparing, and the
exact similarity decides: at `NEAR` one pair in 350 is not found, at 0.9 one in ten million.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from foundry.kernel.normal_form import tokens

NEAR = 0.8
_SHINGLE = 5
_BANDS, _ROWS = 32, 8
"""Pairs meet in a band of 8 of 256 minima: half of those with a similarity of 0.65 do."""
_LOCAL = re.compile(r"@\d+")

Shingles = frozenset[int]


class Kernelish(Protocol):
    """Anything with a kernel text."""

    @property
    def text(self) -> str:
        """The kernel file."""


Item = TypeVar("Item", bound=Kernelish)


def shingles(text: str) -> Shingles:
    """Hashes of the 5-token windows of a normal form; one shorter one for a tiny kernel."""
    pieces = [_LOCAL.sub("@", piece) for piece in tokens(text)]
    last = max(1, len(pieces) - _SHINGLE + 1)
    windows = (" ".join(pieces[i : i + _SHINGLE]) for i in range(last))
    return frozenset(zlib.crc32(window.encode(errors="backslashreplace")) for window in windows)


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared share of two sets."""
    return len(one & other) / len(one | other) if one or other else 1.0


def grouped(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Groups of items that are near to their first.

    Args:
        items: In order of preference: the first of a group is the one to keep where one is kept.
            Of items of equal normal form all but the first are left out.
    """
    index = SimilarityIndex()
    groups: list[list[Item]] = []
    forms: set[tuple[str, ...]] = set()
    for item in items:
        form = tokens(item.text)
        if form in forms:
            continue
        forms.add(form)
        near = index.nearest(item.text)
        if near is None:
            index.add(item.text)
            groups.append([item])
        else:
            groups[near].append(item)
    yield from groups


class SimilarityIndex:
    """Kernels to compare others with, numbered in the order in which they came."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._known: list[Shingles] = []
        self._bands: dict[Hashable, list[int]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Put a kernel in."""
        found = shingles(text)
        for band in _bands(found):
            self._bands.setdefault(band, []).append(len(self._known))
        self._known.append(found)

    def nearest(self, text: str) -> int | None:
        """The number of the first kernel in here that is near to this one."""
        if not self._known:
            return None
        found = shingles(text)
        candidates = sorted({i for band in _bands(found) for i in self._bands.get(band, ())})
        return next((i for i in candidates if jaccard(found, self._known[i]) >= NEAR), None)

    def has_near(self, text: str) -> bool:
        """Whether some kernel in here is near to this one."""
        return self.nearest(text) is not None


def _bands(found: Shingles) -> Iterator[tuple[int, bytes]]:
    """What two kernels share, one piece at least, when they are worth comparing."""
    factors, offsets = _hashes()
    values = np.fromiter(found, np.uint64, len(found))
    minima = ((values[:, None] * factors + offsets) >> np.uint64(32)).min(axis=0)
    for band in range(_BANDS):
        yield band, minima[band * _ROWS : (band + 1) * _ROWS].tobytes()


@cache
def _hashes() -> tuple[NDArray[Any], NDArray[Any]]:
    """Odd factors and offsets of 256 hash functions: always the same ones."""
    drawn = np.random.default_rng(1).integers(0, 2**63, (2, _BANDS * _ROWS), np.uint64)
    return drawn[0] | np.uint64(1), drawn[1]
