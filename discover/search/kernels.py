"""The kernels of one search: their tree, the verdict on each, and what is drawn from both.

No I/O and no clock: the search says what happened, and asks what follows from it.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import islice

from discover.drafts.draft import Draft
from discover.drafts.novelty import Novelty
from discover.history.journal import Restored, attempt
from discover.protocol import Context
from discover.search.task import Task
from discover.selection.cells import cell_of
from discover.selection.finalists import finalists
from discover.selection.repairs import Repairs
from discover.selection.reward import REPAIRABLE, Yardstick
from discover.selection.strategies import strategy
from discover.selection.tree import Node, NodeState, Tree
from foundry.judge.options import NOBODY
from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import Kernel, parse
from foundry.prompts.assignment import Attempt
from foundry.report.predicted import tells_apart

NEAR, RIVALS = 0.97, 2
"""Kernels within 3 % of the best are its rivals; so many are measured head to head."""
_RELATIVES = 4
"""Best other kernels that a proposer may know of."""
_LATEST = 64
"""Children that are looked through for them: a kernel with thousands costs no more."""
_CHILDREN = 8
"""Failed children that it may know of; as many that are right and no faster, and repeats."""


class Kernels:
    """What a search has tried so far."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.tree = Tree()
        self.met = Novelty()
        self.statuses: Counter[str] = Counter()
        settings = task.settings
        self.strategy = strategy(settings.strategy, settings.exploration)
        self.repairs = Repairs(settings.repair)
        self._yardstick = Yardstick()
        self._attempts: dict[int, Attempt] = {}
        self._looks: Counter[int] = Counter()
        self.best_score = NOBODY.best
        self._first: dict[int, int] = {}

    def __getitem__(self, node: Node) -> Attempt:
        """The judged kernel of a node."""
        return self._attempts[node.id]

    def restore(self, restored: Restored) -> None:
        """Take over what earlier sessions judged."""
        self.tree.restore(restored.nodes)
        self._looks = Counter(restored.looks)
        self._first = dict(restored.repeats)
        for node_id, found in restored.attempts.items():
            valid = found.evaluation.status is not Status.INVALID
            kernel = parse(found.text) if valid else None
            self._keep(self.tree[node_id], found, kernel)
            if kernel is not None:
                self.met.add(kernel, node_id)

    def expanded(self, node: Node) -> None:
        """An expansion of a proposer that repairs began."""
        self.repairs.expanded(None if node.parent is None else self.tree[node.parent])

    def parent(self, *, may_repair: bool, exclude: Collection[int]) -> Node | None:
        """The kernel to start from next: a failure whose repair is due, or what the strategy says.

        Args:
            may_repair: Whether the proposer takes failures as parents.
            exclude: Nodes that have nothing left to give.
        """
        if may_repair and (broken := self.repairs.next(self.tree, exclude)):
            return broken
        rng = random.Random(f"{self._task.settings.seed} select {self.tree.next_id}")
        chosen = self.strategy.select(self.tree, exclude, rng)
        return None if chosen is None else self.tree[chosen]

    def judged(
        self,
        node: Node,
        draft: Draft,
        kernel: Kernel | None,
        evaluation: Evaluation,
        *,
        here: bool = True,
    ) -> None:
        """End a node with a verdict.

        Args:
            node: An open node.
            draft: What was judged.
            kernel: Of the draft; None where it is none.
            evaluation: The verdict.
            here: Whether this session measured it.
        """
        self.tree.close(
            node.id,
            NodeState.JUDGED,
            evaluation.kernel_hash,
            self._yardstick.reward(evaluation, here=here),
            repairable=evaluation.status in REPAIRABLE,
        )
        self._keep(node, attempt(draft.text, evaluation, draft.origin), kernel)

    def repeated(self, node: Node, kernel_hash: str, first: int) -> None:
        """End a node whose kernel an earlier node had."""
        self.tree.close(node.id, NodeState.DUPLICATE, kernel_hash)
        self._first[node.id] = first

    def first(self, node: Node) -> Node:
        """The node that had a kernel first; mostly the node itself."""
        return self.tree[self._first.get(node.id, node.id)]

    def beats_parent(self, node: Node) -> bool:
        """Whether a kernel is better than the one it was made from; of a repair, that it passed."""
        if node.reward is None or node.parent is None:
            return False
        if node.reward <= (self.tree[node.parent].reward or 0.0):
            return False
        mine, other = (self._attempts[i].evaluation for i in (node.id, node.parent))
        return tells_apart(mine, other)

    def _keep(self, node: Node, found: Attempt, kernel: Kernel | None) -> None:
        """Remember a verdict; raw samples stay in the database."""
        evaluation = found.evaluation
        self._attempts[node.id] = replace(found, evaluation=without_samples(evaluation))
        self.statuses[str(evaluation.status)] += 1
        self.best_score = max(self.best_score, evaluation.score or 0.0)
        if kernel is not None and node.reward is not None:
            self.strategy.added(node, cell_of(kernel))
        if node.repairable:
            self.repairs.failed(self.tree, node, str(evaluation.status))

    def confirmed(self, node: Node, evaluation: Evaluation) -> Attempt:
        """Replace what was drawn by what a second look found."""
        held = self._attempts[node.id]
        found = Attempt(held.text, evaluation, held.detail)
        self._attempts[node.id] = found
        worth = self._yardstick.reward(evaluation, here=True)
        if self.is_confirmed(node) and worth and node.reward:
            worth = math.sqrt(worth * node.reward)
        self._looks[node.id] += 1
        self.tree.revalue(node.id, worth)
        return found

    def rivals(self, finalists: Sequence[Node]) -> list[Node]:
        """Finalists so near the best that one more look must tell them apart.

        None where the best is alone, or all of them had that look.

        Args:
            finalists: Kernels that were measured a second time.
        """
        ranked = sorted(
            (n for n in finalists if n.reward and self.is_confirmed(n)),
            key=lambda n: -(n.reward or 0.0),
        )
        near = [n for n in ranked if (n.reward or 0.0) >= NEAR * (ranked[0].reward or 0.0)]
        rivals = near[:RIVALS]
        met = all(self._looks[n.id] > 1 for n in rivals)
        return [] if met or len(rivals) < RIVALS else rivals

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
        return self._looks[node.id] > 0

    def start(self) -> Node | None:
        """The best root that passed: what the search must beat."""
        return next((n for n in self.tree.ranked(len(self.tree)) if n.is_root), None)

    def winner(self) -> Node | None:
        """The best of those that were measured twice; of all, where none was."""
        twice = [n for n in self._passed() if n.reward and self.is_confirmed(n)]
        pool = twice or self._passed()
        return max(pool, key=lambda n: (n.reward or 0.0, -n.id), default=None)

    def context(self, node: Node, parent: Node | None, turn: int) -> Context:
        """What a proposer may know when it is asked for the kernel of `node`."""
        best = [n for n in self.tree.ranked(_RELATIVES + 1) if n is not parent]
        return Context(
            op=self._task.op,
            dtype=self._task.dtype,
            device=self._task.device,
            parent=self._attempts[parent.id] if parent else None,
            timed=self._task.timed,
            failures=self._children(parent, self._failed),
            slower=self._children(parent, self._is_slower),
            repeated=self._children(parent, self._is_repeat),
            relatives=tuple(self._attempts[n.id] for n in best[:_RELATIVES]),
            turn=turn,
            seed=random.Random(f"{self._task.settings.seed} {node.id}").randrange(2**31),
            seen=lambda kernel: self.met.first(kernel) is not None,
        )

    def _children(self, parent: Node | None, wanted: Callable[[Node], bool]) -> tuple[Attempt, ...]:
        """The latest children of a kind, each kernel once; of a repeat, the kernel it repeats."""
        if parent is None:
            return ()
        children = (self.tree[child] for child in parent.children[: -_LATEST - 1 : -1])
        found = (self._first.get(c.id, c.id) for c in children if wanted(c))
        return tuple(self._attempts[i] for i in islice(dict.fromkeys(found), _CHILDREN))

    def _failed(self, child: Node) -> bool:
        return child.id in self._attempts and child.reward is None

    def _is_slower(self, child: Node) -> bool:
        if child.id not in self._attempts or child.reward is None or child.parent is None:
            return False
        return child.reward <= (self.tree[child.parent].reward or 0.0)

    def _is_repeat(self, child: Node) -> bool:
        """Whether an earlier node had its kernel, which is judged, and is not its parent."""
        first = self._first.get(child.id)
        return first in self._attempts and first != child.parent

    def _passed(self) -> list[Node]:
        return sorted(self.tree.ranked(len(self.tree)), key=lambda n: n.id)


def without_samples(evaluation: Evaluation) -> Evaluation:
    """An evaluation without the raw samples of its timings, which are most of its size."""
    bare = tuple(
        t.model_copy(update={"samples_baseline_us": (), "samples_kernel_us": ()})
        for t in evaluation.timings
    )
    return evaluation.model_copy(update={"timings": bare})
