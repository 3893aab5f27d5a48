"""PUCT over all buffered states. Deterministic.

`Q(s) + c * range * P(s) * sqrt(1 + T) / (1 + n(s))`

* Q: best reward of the state and its children. A maximum and not a mean: one good child is what
  a search is for.
* P: by rank among the eligible states, the best first: `(N - rank) / (1 + 2 + ... + N)`.
* range: highest minus lowest reward seen, so that `c` does not depend on the scale of rewards.
* T: all expansions; n: expansions of the state and its descendants. Both include those in flight,
  and failures.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from discover.selection.buffer import Buffer
from discover.selection.cells import Cell
from discover.selection.tree import Node, Tree

DEFAULT_EXPLORATION = 1.0


@dataclass(frozen=True)
class Puct:
    """Value, rank and visits of all states weighed."""

    exploration: float = DEFAULT_EXPLORATION

    def added(self, node: Node, cell: Cell) -> None:
        """The tree holds all that is needed."""

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The state of the highest score; ties go to the better, then to the older."""
        if not len(tree.buffer):
            return None
        allowed = tree.buffer.allowed(exclude)
        scores = np.where(allowed, puct_scores(tree, self.exploration), -np.inf)
        return int(tree.buffer.ids[np.argmax(scores)]) if allowed.any() else None


def puct_scores(tree: Tree, exploration: float = DEFAULT_EXPLORATION) -> NDArray[np.float64]:
    """The score of every state, in order of rank."""
    buffer = tree.buffer
    breadth = exploration * reward_range(buffer) * math.sqrt(1 + tree.total)
    return buffer.values + breadth * rank_priors(len(buffer)) / (1 + buffer.visits)


def rank_priors(count: int) -> NDArray[np.float64]:
    """P by rank, the best first. Sums to 1."""
    return np.arange(count, 0, -1) / max(1.0, count * (count + 1) / 2)


def reward_range(buffer: Buffer) -> float:
    """The spread of rewards.

    Equal rewards spread by their own size: with a spread of 0 nothing would ever be explored.
    """
    if not len(buffer):
        return 1.0
    high, low = float(buffer.rewards[0]), float(buffer.rewards[-1])
    return (high - low) or abs(high) or 1.0
