"""Always from the best kernel so far: digs deep, and stays where it digs."""

from __future__ import annotations

import random
from collections.abc import Collection

from discover.selection.cells import Cell
from discover.selection.tree import Node, Tree


class Greedy:
    """Always from the best so far."""

    def added(self, node: Node, cell: Cell) -> None:
        """The tree holds all that is needed."""

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The state of the highest reward."""
        allowed = tree.buffer.ids[tree.buffer.allowed(exclude)]
        return int(allowed[0]) if len(allowed) else None
