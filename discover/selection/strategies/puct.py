"""PUCT over all buffered states, equals taken as one; every other turn the best of a kind.

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

By this formula a kind of kernel whose first state is far behind never has its turn, however much
it gains once it is worked on. So chance gives every other turn to the kind that was expanded least,
as in MAP-Elites, and the best of it is expanded.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from discover.selection.buffer import Buffer
from discover.selection.cells import Cell
from discover.selection.kinds import Kinds
from discover.selection.tree import Node, Tree

DEFAULT_EXPLORATION = 1.0
EQUALS = 1.01
"""Rewards a step of this factor apart are told from one another, nearer ones are not."""
KINDS_SHARE = 0.5
"""Of the turns, how many go to the kind that was expanded least."""


class Puct:
    """Value, rank and visits of all states weighed; every other turn, the best of a kind."""

    def __init__(self, exploration: float = DEFAULT_EXPLORATION) -> None:
        self._exploration = exploration
        self._kinds = Kinds()

    def added(self, node: Node, cell: Cell) -> None:
        """Remember of what kind a state is."""
        self._kinds.add(node, cell)

    def select(self, tree: Tree, exclude: Collection[int], rng: random.Random) -> int | None:
        """The state of the highest score, one of its equals, or the best of a kind."""
        if not len(tree.buffer):
            return None
        allowed = tree.buffer.allowed(exclude)
        if not allowed.any():
            return None
        if len(self._kinds) > 1 and rng.random() < KINDS_SHARE:
            return self._best_of_least_tried(tree.buffer, allowed)
        levels = levels_of(tree.buffer)
        scores = np.where(allowed, puct_scores(tree, self._exploration, levels), -np.inf)
        equals = np.flatnonzero(allowed & (levels == levels[np.argmax(scores)]))
        expansions = tree.buffer.expansions[equals]
        crowded = expansions >= math.sqrt(expansions.sum())
        return int(tree.buffer.ids[equals[np.argmin(np.where(crowded, expansions, 0))]])

    def _best_of_least_tried(self, buffer: Buffer, allowed: NDArray[np.bool_]) -> int:
        """The best of the kind with the fewest expansions that has a state to choose."""
        kinds = self._kinds.of(buffer.ids)
        tried = np.bincount(kinds, weights=buffer.expansions)
        able = np.bincount(kinds[allowed], minlength=len(tried)) > 0
        least = np.flatnonzero(able & (tried == tried[able].min()))
        chosen = self._kinds.by_age(least.tolist())[0]
        return int(buffer.ids[np.argmax(allowed & (kinds == chosen))])


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
