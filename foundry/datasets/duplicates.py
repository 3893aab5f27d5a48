"""Removes kernels that say the same as another: exactly, after normalisation, or nearly.

Near means a Jaccard similarity of at least `NEAR` between the sets of 5-token shingles of the
normal forms, local names made equal. MinHash (datasketch) finds the pairs worth comparing and the
exact similarity decides; without datasketch only equal normal forms are found, and the caller is
told so by `near_available()`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Protocol, TypeVar

from foundry.kernel.normal_form import tokens

NEAR = 0.8
_SHINGLE = 5
_PERMUTATIONS = 256
_CANDIDATE = 0.7  # below NEAR: MinHash estimates, and what it misses nobody compares
_LOCAL = re.compile(r"@\d+")

Shingles = frozenset[str]


class Kernelish(Protocol):
    """Anything with a kernel text."""

    @property
    def text(self) -> str:
        """The kernel file."""


Item = TypeVar("Item", bound=Kernelish)


def near_available() -> bool:
    """Whether near duplicates can be found here."""
    return find_spec("datasketch") is not None


def shingles(text: str) -> Shingles:
    """The 5-token windows of a kernel's normal form; one shorter window for a tiny kernel."""
    pieces = [_LOCAL.sub("@", piece) for piece in tokens(text)]
    last = max(1, len(pieces) - _SHINGLE + 1)
    return frozenset(" ".join(pieces[i : i + _SHINGLE]) for i in range(last))


def jaccard(one: Shingles, other: Shingles) -> float:
    """Shared share of two sets."""
    return len(one & other) / len(one | other) if one or other else 1.0


def distinct(items: Iterable[Item]) -> tuple[list[Item], int, int]:
    """The first of every group of equals.

    Args:
        items: In order of preference: of two duplicates the earlier one stays.

    Returns:
        The kept items, how many had an equal normal form, how many were near.
    """
    kept: list[Item] = []
    forms: set[str] = set()
    index = SimilarityIndex()
    equal = near = 0
    for item in items:
        form = " ".join(tokens(item.text))
        if form in forms:
            equal += 1
        elif index.has_near(item.text):
            near += 1
        else:
            kept.append(item)
            index.add(item.text)
        forms.add(form)
    return kept, equal, near


class SimilarityIndex:
    """Kernels to compare others with. Without datasketch it holds none near to any."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._known: dict[Hashable, Shingles] = {}
        self._lsh: Any = None
        if near_available():
            from datasketch import MinHashLSH

            self._lsh = MinHashLSH(threshold=_CANDIDATE, num_perm=_PERMUTATIONS)
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Put a kernel in."""
        if self._lsh is None:
            return
        found = shingles(text)
        key = len(self._known)
        self._known[key] = found
        self._lsh.insert(key, _minhash(found))

    def has_near(self, text: str) -> bool:
        """Whether some kernel in here is near to this one."""
        if self._lsh is None:
            return False
        found = shingles(text)
        candidates = self._lsh.query(_minhash(found))
        return any(jaccard(found, self._known[key]) >= NEAR for key in candidates)


def _minhash(found: Shingles) -> Any:
    from datasketch import MinHash

    sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
    sketch.update_batch([shingle.encode("utf-8", "backslashreplace") for shingle in found])
    return sketch
