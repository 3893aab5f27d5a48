"""How the next parent is chosen: one strategy a file, by name, behind one interface.

A strategy sees the states that passed and never failures: those are repaired from a budget of their
own (`repairs`). To add one, write a class with `select` and name it in `STRATEGIES`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from discover.selection.cells import Cell
from discover.selection.strategies.best_of_n import BestOfN
from discover.selection.strategies.greedy import Greedy
from discover.selection.strategies.map_elites import MapElites
from discover.selection.strategies.puct import DEFAULT_EXPLORATION, Puct
from discover.selection.strategies.uniform import Uniform
from discover.selection.tree import Node, Tree
from foundry.errors import unknown


class Strategy(Protocol):
    """Chooses the state to expand next."""

    def added(self, node: Node, cell: Cell) -> None:
        """A state passed; its cell says what kind of kernel it is."""

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The node to expand, or None when none is eligible."""


@dataclass(frozen=True)
class _Named:
    make: Callable[[float], Strategy]
    what: str


STRATEGIES: Mapping[str, _Named] = {
    "puct": _Named(
        Puct, "value, rank and visits of all states weighed; every other turn the best of a kind"
    ),
    "best-of-n": _Named(lambda _: BestOfN(), "always from the best start"),
    "greedy": _Named(lambda _: Greedy(), "always from the best so far"),
    "map-elites": _Named(
        lambda _: MapElites(), "from the best of a kind: memory, compute, parallelism"
    ),
    "random": _Named(lambda _: Uniform(), "from any state that passed"),
}


def strategy(name: str, exploration: float = DEFAULT_EXPLORATION) -> Strategy:
    """A strategy by name.

    Raises:
        UsageError: No such strategy; carries the nearest.
    """
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    return STRATEGIES[name].make(exploration)
