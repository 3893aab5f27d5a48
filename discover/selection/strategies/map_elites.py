"""MAP-Elites: one best kernel for each kind of memory access, compute and parallelism.

Kinds take turns by chance, so that an approach that is behind today is still worked on.
"""

from __future__ import annotations

import random
from collections.abc import Collection

import numpy as np

from discover.selection.cells import Cell
from discover.selection.kinds import Kinds
from discover.selection.tree import Node, Tree


class MapElites:
    """From the best of a kind."""

    def __init__(self) -> None:
        self._kinds = Kinds()

    def added(self, node: Node, cell: Cell) -> None:
        """Remember of what kind a state is."""
        self._kinds.add(node, cell)

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The best state of a kind drawn by chance."""
        allowed = tree.buffer.ids[tree.buffer.allowed(exclude)]
        if not len(allowed):
            return None
        kinds = self._kinds.of(allowed)
        chosen = rng.choice(self._kinds.by_age(np.flatnonzero(np.bincount(kinds)).tolist()))
        return int(allowed[np.argmax(kinds == chosen)])
