"""The kernels of one search: their tree, the verdict on each, and what is drawn from both.

No I/O and no clock: the search says what happened, and asks what follows from it.
"""

from __future__ import annotations

import random
from collections import Counter

from discover.drafts.draft import Draft
from discover.drafts.novelty import Novelty
from discover.history.journal import Restored, attempt
from discover.protocol import Attempt, Context
from discover.search.task import Task
from discover.selection.finalists import finalists
from discover.selection.reward import REPAIRABLE, reward
from discover.selection.tree import Node, NodeState, Tree
from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import parse

_RELATIVES = 4
"""Best other kernels that a proposer may know of."""


class Kernels:
    """What a search has tried so far."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.tree = Tree()
        self.met = Novelty()
        self.statuses: Counter[str] = Counter()
        self._attempts: dict[int, Attempt] = {}
        self._confirmed: set[int] = set()

    def __getitem__(self, node: Node) -> Attempt:
        """The judged kernel of a node."""
        return self._attempts[node.id]

    def restore(self, restored: Restored) -> None:
        """Take over what earlier sessions judged."""
        self.tree.restore(restored.nodes)
        self._confirmed = set(restored.confirmed)
        for node_id, found in restored.attempts.items():
            self._attempts[node_id] = found
            self.statuses[str(found.evaluation.status)] += 1
            if found.evaluation.status is not Status.INVALID:
                self.met.add(parse(found.text), node_id)

    def judged(self, node: Node, draft: Draft, evaluation: Evaluation) -> None:
        """End a node with a verdict."""
        self.tree.close(
            node.id,
            NodeState.JUDGED,
            evaluation.kernel_hash,
            reward(evaluation),
            repairable=evaluation.status in REPAIRABLE,
        )
        self._attempts[node.id] = attempt(draft.text, evaluation, draft.origin)
        self.statuses[str(evaluation.status)] += 1

    def confirmed(self, node: Node, evaluation: Evaluation) -> Attempt:
        """Replace what was drawn by what a second look found."""
        held = self._attempts[node.id]
        found = Attempt(held.text, evaluation, held.detail)
        self._attempts[node.id] = found
        self._confirmed.add(node.id)
        self.tree.revalue(node.id, reward(evaluation))
        return found

    def finalists(self, count: int) -> list[Node]:
        """The kernels to measure a second time, those that were so already included."""
        passed = {n.id: self._attempts[n.id].evaluation for n in self._passed()}
        start = self.start()
        return [self.tree[i] for i in finalists(passed, start.id if start else None, count)]

    def roots_open(self) -> bool:
        """Whether a root is not judged yet."""
        return any(node.is_root for node in self.tree.in_flight())

    def is_confirmed(self, node: Node) -> bool:
        """Whether a node was measured a second time."""
        return node.id in self._confirmed

    def start(self) -> Node | None:
        """The first root that passed: what the search began with."""
        return next((n for n in self.tree if n.is_root and n.reward is not None), None)

    def winner(self) -> Node | None:
        """The best of those that were measured twice; of all, where none was."""
        twice = [n for n in self._passed() if n.reward and self.is_confirmed(n)]
        pool = twice or self._passed()
        return max(pool, key=lambda n: (n.reward or 0.0, -n.id), default=None)

    def context(self, node: Node, parent: Node | None, turn: int) -> Context:
        """What a proposer may know when it is asked for the kernel of `node`."""
        others = (n for n in self._passed() if n is not parent)
        best = sorted(others, key=lambda n: (-(n.reward or 0.0), n.id))
        return Context(
            op=self._task.op,
            dtype=self._task.dtype,
            device=self._task.device,
            parent=self._attempts[parent.id] if parent else None,
            timed=self._task.timed,
            failures=self._failures(parent) if parent else (),
            relatives=tuple(self._attempts[n.id] for n in best[:_RELATIVES]),
            turn=turn,
            seed=random.Random(f"{self._task.settings.seed} {node.id}").randrange(2**31),
            seen=lambda kernel: self.met.first(kernel) is not None,
        )

    def _failures(self, parent: Node) -> tuple[Attempt, ...]:
        """Failed children, the latest first."""
        children = (self.tree[child] for child in reversed(parent.children))
        return tuple(
            self._attempts[c.id] for c in children if c.id in self._attempts and c.reward is None
        )

    def _passed(self) -> list[Node]:
        return [node for node in self.tree if node.reward is not None]
