"""PUCT over all buffered states: which kernel to expand next. Pure and deterministic.

`Q(s) + c * range * P(s) * sqrt(1 + T) / (1 + n(s))`

* Q: best reward of the state and its children. A maximum and not a mean: one good child is what
  a search is for.
* P: by rank among the eligible states, the best first: `(N - rank) / (1 + 2 + ... + N)`.
* range: highest minus lowest reward seen, so that `c` does not depend on the scale of rewards.
* T: all expansions; n: expansions of the state and its descendants. Both include those in flight.

Failures are visits of their parents. They are parents themselves only for a proposer that may
repair, and only `MAX_REPAIRS` times each.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from discover.selection.tree import Node, NodeState, Tree

DEFAULT_EXPLORATION = 1.0
MAX_REPAIRS = 2


def select(
    tree: Tree,
    *,
    exploration: float = DEFAULT_EXPLORATION,
    may_repair: bool = False,
    exclude: Collection[int] = (),
) -> Node | None:
    """The state to expand next, or None when no state is eligible. Ties go to the oldest.

    Args:
        tree: The search so far.
        exploration: The constant `c`.
        may_repair: Whether the proposer takes failures as parents.
        exclude: Ids that have nothing left to give.
    """
    scores = {
        node_id: score
        for node_id, score in puct_scores(
            tree, exploration=exploration, may_repair=may_repair
        ).items()
        if node_id not in exclude
    }
    if not scores:
        return None
    return tree[max(scores, key=lambda node_id: (scores[node_id], -node_id))]


def puct_scores(
    tree: Tree, *, exploration: float = DEFAULT_EXPLORATION, may_repair: bool = False
) -> dict[int, float]:
    """The PUCT score of every eligible state by node id."""
    states = eligible(tree, may_repair=may_repair)
    priors = rank_priors(states)
    lowest, span = reward_range(states)
    breadth = exploration * span * math.sqrt(1 + tree.total)
    return {
        node.id: _q(tree, node, lowest) + breadth * priors[node.id] / (1 + node.visits)
        for node in states
    }


def eligible(tree: Tree, *, may_repair: bool) -> list[Node]:
    """States that may be parents: those that passed, and failures still worth a repair."""
    return [
        node
        for node in tree
        if node.state is NodeState.JUDGED
        and (
            node.reward is not None
            or (may_repair and node.repairable and node.expansions < MAX_REPAIRS)
        )
    ]


def rank_priors(states: list[Node]) -> dict[int, float]:
    """P by rank of the own reward; failures come last, the oldest of equals first. Sums to 1."""
    count = len(states)
    ranked = sorted(states, key=lambda n: (n.reward is None, -(n.reward or 0.0), n.id))
    total = count * (count + 1) / 2
    return {node.id: (count - rank) / total for rank, node in enumerate(ranked)}


def reward_range(states: list[Node]) -> tuple[float, float]:
    """Lowest reward and the spread of rewards.

    Equal rewards spread by their own size: with a spread of 0 nothing would ever be explored.
    """
    rewards = [node.reward for node in states if node.reward is not None]
    if not rewards:
        return 0.0, 1.0
    low, high = min(rewards), max(rewards)
    return low, (high - low) or abs(high) or 1.0


def _q(tree: Tree, node: Node, lowest: float) -> float:
    value = tree.value(node)
    return lowest if value is None else value
