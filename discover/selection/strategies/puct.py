"""PUCT over all buffered states, equals taken as one. Deterministic.

`Q(s) + c * range * P(s) * sqrt(1 + T) / (1 + n(s))`

* Q: best reward of the state and its children. A maximum and not a mean: one good child is what
  a search is for.
* P: by rank among the levels of reward, the best first: `(L - rank) / (1 + 2 + ... + L)`.
* range: highest minus lowest reward seen, so that `c` does not depend on the scale of rewards.
* T: all expansions. n: expansions of the state and its descendants, or of all on its level,
  whichever is more. Both include those in flight, and failures.

A level holds the states whose rewards lie within a step of 1 %: equals. Most rewrites change no
time. Were each such child a state of its own, it would be as good as its parent and never tried,
so that the search digs along them, and many of them would leave nothing of P to any other. So
equals have one rank, and what was tried at one counts for all. Among them the first is next that
had less than the root of their expansions: a few of them have several children each.
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
EQUALS = 1.01
"""Rewards a step of this factor apart are told from one another, nearer ones are not."""


@dataclass(frozen=True)
class Puct:
    """Value, rank and visits of all states weighed."""

    exploration: float = DEFAULT_EXPLORATION

    def added(self, node: Node, cell: Cell) -> None:
        """The tree holds all that is needed."""

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The state of the highest score, or one of its equals."""
        if not len(tree.buffer):
            return None
        allowed = tree.buffer.allowed(exclude)
        if not allowed.any():
            return None
        levels = levels_of(tree.buffer)
        scores = np.where(allowed, puct_scores(tree, self.exploration, levels), -np.inf)
        equals = np.flatnonzero(allowed & (levels == levels[np.argmax(scores)]))
        expansions = tree.buffer.expansions[equals]
        crowded = expansions >= math.sqrt(expansions.sum())
        return int(tree.buffer.ids[equals[np.argmin(np.where(crowded, expansions, 0))]])


def puct_scores(tree: Tree, exploration: float, levels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The score of every state, in order of rank.

    Args:
        tree: The states.
        exploration: The constant c.
        levels: Of the states, as `levels_of` gives them.
    """
    buffer = tree.buffer
    breadth = exploration * reward_range(buffer) * math.sqrt(1 + tree.total)
    tried = np.bincount(levels, weights=buffer.expansions)
    priors = rank_priors(len(tried))
    bonus: NDArray[np.float64] = priors[levels] / (1 + np.maximum(buffer.visits, tried[levels]))
    return buffer.values + breadth * bonus


def levels_of(buffer: Buffer) -> NDArray[np.int64]:
    """By state, in order of rank, how many levels are better than its own; equals share one."""
    rewards = np.maximum(buffer.rewards, np.finfo(float).tiny)
    steps = np.rint(np.log(rewards) / math.log(EQUALS))
    return np.cumsum(np.diff(steps, prepend=steps[:1]) != 0)


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
