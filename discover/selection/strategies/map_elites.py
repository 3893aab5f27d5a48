"""MAP-Elites: one best kernel for each kind of memory access, compute and parallelism.

Kinds take turns by chance, so that an approach that is behind today is still worked on.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from discover.selection.cells import Cell
from discover.selection.tree import Node, Tree


class MapElites:
    """From the best of a kind."""

    def __init__(self) -> None:
        self._cells: dict[Cell, list[int]] = {}

    def added(self, node: Node, cell: Cell) -> None:
        """Put a state into its cell."""
        self._cells.setdefault(cell, []).append(node.id)

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The best state of a cell drawn by chance."""
        cells = sorted(self._cells)
        rng.shuffle(cells)
        elites = (_best(tree, self._cells[cell], exclude) for cell in cells)
        return next((best.id for best in elites if best is not None), None)


def _best(tree: Tree, ids: list[int], exclude: Collection[int]) -> Node | None:
    able = (tree[i] for i in ids if i not in exclude and tree[i].reward is not None)
    return max(able, key=lambda n: (n.reward or 0.0, -n.id), default=None)
