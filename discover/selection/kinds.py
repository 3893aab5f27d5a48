"""Which states are of one kind, as columns of numbers: a choice among 20,000 is one pass."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from discover.selection.cells import Cell
from discover.selection.tree import Node

_FIRST_ROOM = 64


class Kinds:
    """The states that passed, by the cell of each."""

    def __init__(self) -> None:
        self._numbers: dict[Cell, int] = {}
        self._oldest: list[int] = []
        self._kind_of = np.zeros(_FIRST_ROOM, np.int64)

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, node: Node, cell: Cell) -> None:
        """A state passed."""
        while node.id >= len(self._kind_of):
            self._kind_of = np.concatenate([self._kind_of, np.zeros_like(self._kind_of)])
        kind = self._numbers.setdefault(cell, len(self._numbers))
        if kind == len(self._oldest):
            self._oldest.append(node.id)
        self._oldest[kind] = min(self._oldest[kind], node.id)
        self._kind_of[node.id] = kind

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The kind of each of these states."""
        return self._kind_of[ids]

    def by_age(self, kinds: Iterable[int]) -> list[int]:
        """Kinds, that of the oldest state first: whatever order they were seen in before a kill."""
        return sorted(kinds, key=lambda kind: self._oldest[kind])
