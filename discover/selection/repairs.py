"""Which failure is repaired next, within a share of all expansions. No I/O, no chance.

A failure is repaired at once, while the share allows it: first those that came furthest, then the
latest. Each is tried `MAX_REPAIRS` times, and a chain of repairs that fail ends after `MAX_CHAIN`.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping

from discover.selection.tree import Node, Tree
from foundry.judge.verdict import Status

MAX_REPAIRS = 2
MAX_CHAIN = 3
_SLACK = 0.5
"""Of one expansion: the first repairable failure is repaired at once, and the share still holds."""
_PROMISE: Mapping[str, int] = {
    Status.WRONG_RESULT: 5,
    Status.SANITIZER_ERROR: 4,
    Status.BUILD_ERROR: 3,
    Status.TIMEOUT: 2,
    Status.INVALID: 2,
    Status.CRASH: 1,
}
"""How far a failure came: what computes nearly the right thing is nearest to a kernel."""


class Repairs:
    """Failures that wait for repair, and how much of the budget went there."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.expansions = 0
        """Of proposers that repair."""
        self.started = 0
        """Of these, repairs."""
        self._waiting: list[tuple[int, int]] = []

    def failed(self, tree: Tree, node: Node, status: str) -> None:
        """A kernel failed in a way that can be repaired."""
        chain = _chain(tree, node)
        if chain < MAX_CHAIN:
            heapq.heappush(self._waiting, (chain - _PROMISE.get(status, 0), -node.id))

    def expanded(self, parent: Node | None) -> None:
        """An expansion began."""
        self.expansions += 1
        self.started += parent is not None and parent.reward is None

    def next(self, tree: Tree, exclude: Collection[int]) -> Node | None:
        """The failure to repair now; None when the share is used, or nothing waits.

        While nothing at all has passed, repairs are no share of the work but all of it.
        """
        due = self.started < self.share * self.expansions + _SLACK
        if self.share == 0 or not (due or tree.best() is None):
            return None
        while self._waiting:
            node = tree[-self._waiting[0][1]]
            if node.expansions < MAX_REPAIRS and node.id not in exclude:
                return node
            heapq.heappop(self._waiting)
        return None


def _chain(tree: Tree, node: Node) -> int:
    """Repairs in a row that led to a node."""
    length = 0
    for ancestor in tree.ancestors(node):
        if ancestor.reward is not None:
            break
        length += 1
    return length
