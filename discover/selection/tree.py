"""The search tree: which kernel came from which, what it earned, how often it was tried.

Pure: no I/O, no clock, no randomness. A strategy chooses a parent, `search.py` drives the life of a
node, `foundry.store` keeps the rows. Nothing here grows with the size of the tree but the columns
of `buffer`.

1. `open` starts an expansion: a child without a kernel. From then on the expansion counts as a
   visit of its parent and of every ancestor (virtual loss), so work in flight spreads out.
2. Roots (a template's first point, a stored winner) are opened in the same way but are nobody's
   expansion: they count as no visit.
3. `close` tells what became of it. A failure or a duplicate stays a visit and earns nothing.
4. `withdraw` takes back an expansion that never happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from discover.selection.buffer import Buffer

ROOT_PREFIX = "root:"
"""Proposer names of roots start with it: `root:template`, `root:store`."""


class NodeState(StrEnum):
    """What became of an expansion."""

    OPEN = "open"
    """In flight: proposed, or being judged."""
    JUDGED = "judged"
    """Has an evaluation, good or bad."""
    DUPLICATE = "duplicate"
    """The same kernel as an earlier node."""
    FAILED = "failed"
    """No kernel came: the proposer had no answer, or its calls failed."""
    WITHDRAWN = "withdrawn"
    """Never happened: no call was sent and nothing was judged."""


@dataclass
class Node:
    """One kernel of the search, or the expansion that will become one."""

    id: int
    parent: int | None
    proposer: str
    state: NodeState = NodeState.OPEN
    kernel_hash: str | None = None
    reward: float | None = None
    """Score of a kernel that passed; None for every failure."""
    repairable: bool = False
    """A failure with words a proposer can act on."""
    expansions: int = 0
    """Children opened here, those in flight included."""
    visits: int = 0
    """Expansions of this node and of all its descendants."""
    children: list[int] = field(default_factory=list)
    value: float | None = None
    """Q: best reward of the node and its children; None when none passed."""
    depth: int = 0
    """Expansions from a root."""

    @property
    def is_root(self) -> bool:
        """Whether it was given and not proposed."""
        return self.parent is None and self.proposer.startswith(ROOT_PREFIX)


class Tree:
    """All states of one search. Ids count up from 0 and are never used twice."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        self._next = 0
        self._open: dict[int, Node] = {}
        self._deepest = 0
        self.buffer = Buffer()
        """States that passed."""
        self.has_roots = False
        self.total = 0
        """Expansions of the whole tree, those without a parent included."""

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node_id: int) -> bool:
        return node_id in self._nodes

    def __getitem__(self, node_id: int) -> Node:
        return self._nodes[node_id]

    @property
    def next_id(self) -> int:
        """The id of the next node."""
        return self._next

    def open(self, parent: int | None, proposer: str) -> Node:
        """Start an expansion of `parent`, or of nothing: a root, or a kernel from scratch."""
        node = self._add(parent, proposer)
        if parent is not None:
            self._nodes[parent].children.append(node.id)
        self._visit(node, +1)
        return node

    def close(
        self,
        node_id: int,
        state: NodeState,
        kernel_hash: str | None = None,
        reward: float | None = None,
        *,
        repairable: bool = False,
    ) -> Node:
        """End an expansion. Only a judged kernel may carry a reward."""
        node = self._open_node(node_id)
        if state in (NodeState.OPEN, NodeState.WITHDRAWN):
            raise ValueError(f"an expansion cannot be closed as {state}")
        if reward is not None and state is not NodeState.JUDGED:
            raise ValueError(f"a {state} node earns no reward")
        node.state, node.kernel_hash, node.reward = state, kernel_hash, reward
        node.repairable = repairable and state is NodeState.JUDGED and reward is None
        self._closed(node)
        return node

    def withdraw(self, node_id: int) -> Node:
        """Take back the newest expansion as if it had never been; its id is given again."""
        node = self._open_node(node_id)
        if node_id != self._next - 1:
            raise ValueError(f"node {node_id} is not the newest")
        node.state = NodeState.WITHDRAWN
        if node.parent is not None:
            self._nodes[node.parent].children.pop()
        self._visit(node, -1)
        del self._nodes[node_id], self._open[node_id]
        self._next -= 1
        return node

    def restore(self, rows: Iterable[Node]) -> None:
        """Take over stored nodes, parents before children; visits are counted anew."""
        for row in sorted(rows, key=lambda n: n.id):
            fresh = self._put(row.id, row.parent, row.proposer)
            fresh.state, fresh.kernel_hash = row.state, row.kernel_hash
            fresh.reward, fresh.repairable = row.reward, row.repairable
            if fresh.state is NodeState.OPEN:
                self._open[fresh.id] = fresh
            else:
                self._closed(fresh)
            if fresh.parent is not None:
                self._nodes[fresh.parent].children.append(fresh.id)
            if fresh.state is not NodeState.WITHDRAWN:
                self._visit(fresh, +1)

    def revalue(self, node_id: int, reward: float | None) -> None:
        """Replace the reward of a judged kernel by what a second look found."""
        node = self._nodes[node_id]
        if node.reward is not None:
            self.buffer.remove(node_id, node.reward)
        node.reward = reward
        node.value = self._worth(node)
        if reward is not None:
            self._into_buffer(node)
        if node.parent is not None:
            self._revalue_parent(self._nodes[node.parent])

    def depth(self) -> int:
        """Expansions from a root to the deepest kernel."""
        return self._deepest

    def in_flight(self) -> list[Node]:
        """Open expansions, oldest first."""
        return list(self._open.values())

    def best(self) -> Node | None:
        """The node of the highest reward; the oldest of equals."""
        return self._nodes[int(self.buffer.ids[0])] if len(self.buffer) else None

    def ranked(self, count: int) -> list[Node]:
        """The best nodes, the best first."""
        return [self._nodes[int(i)] for i in self.buffer.ids[:count]]

    def ancestors(self, node: Node) -> Iterator[Node]:
        """Parent, grandparent, and so on."""
        while node.parent is not None:
            node = self._nodes[node.parent]
            yield node

    def _add(self, parent: int | None, proposer: str) -> Node:
        node = self._put(self._next, parent, proposer)
        self._open[node.id] = node
        return node

    def _put(self, node_id: int, parent: int | None, proposer: str) -> Node:
        depth = 0 if parent is None else self._nodes[parent].depth + 1
        node = Node(node_id, parent, proposer, depth=depth)
        self._nodes[node_id] = node
        self._next = max(self._next, node_id + 1)
        self.has_roots |= node.is_root
        return node

    def _closed(self, node: Node) -> None:
        self._open.pop(node.id, None)
        self._deepest = max(self._deepest, node.depth)
        if node.reward is None:
            return
        node.value = node.reward
        self._into_buffer(node)
        if node.parent is not None:
            parent = self._nodes[node.parent]
            if parent.value is None or node.reward > parent.value:
                parent.value = node.reward
                if parent.reward is not None:
                    self.buffer.revalue(parent.id, node.reward)

    def _into_buffer(self, node: Node) -> None:
        assert node.reward is not None
        value = node.reward if node.value is None else node.value
        self.buffer.add(node.id, node.reward, value, node.visits, node.expansions)

    def _revalue_parent(self, parent: Node) -> None:
        parent.value = self._worth(parent)
        if parent.reward is not None and parent.value is not None:
            self.buffer.revalue(parent.id, parent.value)

    def _worth(self, node: Node) -> float | None:
        own = [node.reward, *(self._nodes[child].reward for child in node.children)]
        return max((r for r in own if r is not None), default=None)

    def _visit(self, node: Node, step: int) -> None:
        self.total += 0 if node.is_root else step
        if node.parent is not None:
            parent = self._nodes[node.parent]
            parent.expansions += step
            if parent.reward is not None:
                self.buffer.expand(parent.id, step)
        for ancestor in self.ancestors(node):
            ancestor.visits += step
            if ancestor.reward is not None:
                self.buffer.visit(ancestor.id, step)

    def _open_node(self, node_id: int) -> Node:
        node = self._nodes[node_id]
        if node.state is not NodeState.OPEN:
            raise ValueError(f"node {node_id} is {node.state} already")
        return node
