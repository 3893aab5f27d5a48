"""From any state that passed, all equally likely: what every other strategy must beat."""

from __future__ import annotations

import random
from collections.abc import Collection

from discover.selection.cells import Cell
from discover.selection.tree import Node, Tree


class Uniform:
    """From any state that passed."""

    def added(self, node: Node, cell: Cell) -> None:
        """The tree holds all that is needed."""

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """Any state."""
        allowed = tree.buffer.ids[tree.buffer.allowed(exclude)]
        return int(allowed[rng.randrange(len(allowed))]) if len(allowed) else None
