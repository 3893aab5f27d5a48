"""Always from the best start: independent samples, as many as the budget allows."""

from __future__ import annotations

import random
from collections.abc import Collection

from discover.selection.cells import Cell
from discover.selection.tree import Node, Tree


class BestOfN:
    """Always from the best start."""

    def added(self, node: Node, cell: Cell) -> None:
        """The tree holds all that is needed."""

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The root of the highest reward; without roots, the oldest state."""
        allowed = [int(i) for i in tree.buffer.ids[tree.buffer.allowed(exclude)]]
        starts = (i for i in allowed if tree[i].is_root)
        return next(starts, None if tree.has_roots else min(allowed, default=None))
