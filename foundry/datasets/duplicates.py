"""Finds kernels that say the same as another: exactly but for names and space, or nearly.

Near means a Jaccard similarity of at least `NEAR` between the sets of 5-token shingles of the
forms, local names made equal. MinHash finds the pairs that are worth comparing, and the exact
similarity decides: at `NEAR` one pair in 350 is not found, at 0.9 one in ten million.

The form is read off the text without parsing it, which takes a tenth of the time that
`kernel.normal_form` takes: texts of equal normal form have forms that are equal or near.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

NEAR = 0.8
_SHINGLE = 5
_BANDS, _ROWS = 32, 8
"""Pairs meet in a band of 8 of 256 minima: half of those with a similarity of 0.65 do."""
_COMMENTS = re.compile(r"//[^\n]*|/\*(?!kernel\b).*?(?:\*/|\Z)", re.DOTALL)
_MARKER = "// --- body ---"
_TOKENS = re.compile(r'[A-Za-z_]\w*|\d[\w.]*|"[^"\n]*"|[^\s\w]')
_DECLARED = re.compile(r"\b([A-Za-z_]\w*)(?:\s*[*&]\s*|\s+)([A-Za-z_]\w*)(?=\s*[=;,)\[({:])")
_NO_TYPES = {"return", "else", "case", "goto", "new", "delete", "op", "not", "and", "or", "using"}
"""What stands before a name that is not declared there."""
_FACTOR = 0x9E3779B97F4A7C15

Shingles = NDArray[Any]
"""Hashes, each once, in order."""


class Kernelish(Protocol):
    """Anything with a kernel text."""

    @property
    def text(self) -> str:
        """The kernel file."""


Item = TypeVar("Item", bound=Kernelish)


@lru_cache(maxsize=1 << 16)
def form(text: str) -> str:
    """A kernel file without comments and space, its local names numbered as they are met."""
    code = _COMMENTS.sub(" ", text.replace(_MARKER, ";body;"))
    pairs = (found.groups() for found in _DECLARED.finditer(code))
    local = {name for kind, name in pairs if kind not in _NO_TYPES}
    pieces = _TOKENS.findall(code)
    met = (piece for piece in dict.fromkeys(pieces) if piece in local)
    numbers = {name: f"@{number}" for number, name in enumerate(met)}
    return " ".join(map(numbers.get, pieces, pieces))


def shingles(text: str) -> Shingles:
    """Hashes of the 5-token windows of a kernel's form; one shorter one for a tiny kernel.

    A text without code has none, and is near to no other.
    """
    return _sketch(text).shingles


@dataclass(frozen=True)
class _Sketch:
    shingles: Shingles
    bands: list[int]


@lru_cache(maxsize=1 << 16)
def _sketch(text: str) -> _Sketch:
    numbers = np.fromiter(map(_number, form(text).split()), np.uint64)
    if not len(numbers):
        return _Sketch(numbers, [])
    last = max(1, len(numbers) - _SHINGLE + 1)
    windows = np.zeros(last, np.uint64)
    for place in range(min(_SHINGLE, len(numbers))):
        windows = windows * np.uint64(_FACTOR) + numbers[place : place + last]
    found = np.unique(windows)
    return _Sketch(found, _bands(found))


@lru_cache(maxsize=1 << 16)
def _number(piece: str) -> int:
    """All local names are one."""
    return zlib.crc32(b"@" if piece[0] == "@" else piece.encode(errors="backslashreplace"))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared share of two sets."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / max(1, len(one) + len(other) - shared)


def grouped(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Groups of items that are near to their first.

    Args:
        items: In order of preference: the first of a group is the one to keep where one is kept.
            Of items of equal form all but the first are left out.
    """
    index = SimilarityIndex()
    groups: list[list[Item]] = []
    forms: set[str] = set()
    for item in items:
        if form(item.text) in forms:
            continue
        forms.add(form(item.text))
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
        self._bands: dict[int, list[int]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Put a kernel in."""
        found = _sketch(text)
        for band in found.bands:
            self._bands.setdefault(band, []).append(len(self._known))
        self._known.append(found.shingles)

    def nearest(self, text: str) -> int | None:
        """The number of the first kernel in here that is near to this one."""
        if not self._known:
            return None
        found = _sketch(text)
        candidates = sorted({i for band in found.bands for i in self._bands.get(band, ())})
        known = self._known
        return next((i for i in candidates if jaccard(found.shingles, known[i]) >= NEAR), None)

    def has_near(self, text: str) -> bool:
        """Whether some kernel in here is near to this one."""
        return self.nearest(text) is not None


def _bands(values: Shingles) -> list[int]:
    """What two kernels share, one number at least, when they are worth comparing."""
    factors, offsets = _hashes()
    hashed = values[:, None] * factors
    hashed += offsets
    minima = hashed.min(axis=0) >> np.uint64(32)
    rows = minima.reshape(_BANDS, _ROWS)
    mixed = np.arange(_BANDS, dtype=np.uint64)
    for row in range(_ROWS):
        mixed = mixed * np.uint64(_FACTOR) + rows[:, row]
    found: list[int] = mixed.tolist()
    return found


@cache
def _hashes() -> tuple[NDArray[Any], NDArray[Any]]:
    """Odd factors and offsets of 256 hash functions: always the same ones."""
    drawn = np.random.default_rng(1).integers(0, 2**63, (2, _BANDS * _ROWS), np.uint64)
    return drawn[0] | np.uint64(1), drawn[1]
