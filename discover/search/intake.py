"""What becomes of a draft: sifted, looked up in the database, judged, and its node ended.

Each way ends in one row of the journal. Malformed replies and kernels met before cost no evaluation
of the judge; what an earlier search settled is taken as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from discover.budget.limits import Budget
from discover.calls.flights import Flights
from discover.calls.roster import Roster
from discover.drafts.draft import Draft, label
from discover.drafts.novelty import fingerprint
from discover.drafts.sift import Fresh, Repeated, Unusable, sift, verdict
from discover.history.journal import Journal
from discover.search.kernels import Kernels
from discover.search.task import Evaluate, Task
from discover.search.watch import Watch
from discover.selection.tree import Node, NodeState
from foundry.judge.options import Rivals
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel, parse
from foundry.prompts.answer import extract_all
from foundry.store.records import Lesson

Key = tuple[str, int]
"""Of work under way: `call` or `judge`, and the node it is for."""


@dataclass
class Intake:
    """Takes drafts in, for one search."""

    task: Task
    kernels: Kernels
    roster: Roster
    journal: Journal
    budget: Budget
    flights: Flights[Key]
    evaluate: Evaluate
    settled: Callable[[Evaluation], bool]
    clock: Callable[[], float]
    watch: Watch
    # Not drawn from the seed of the search: whoever knows that must not foresee the inputs.
    _inputs_seed: int = field(default_factory=lambda: secrets.randbits(48))
    _lessons: tuple[Lesson, ...] | None = None
    _judging: dict[int, Fresh] = field(default_factory=dict)

    def lessons(self) -> tuple[Lesson, ...]:
        """What a proposer may learn from; read anew once something was learnt."""
        if self._lessons is None:
            self._lessons = self.journal.lessons(self.task.op)
        return self._lessons

    def split(self, draft: Draft) -> list[Draft]:
        """The kernels of an answer, each a draft of its own; what was met before is quoted.

        Quotes beside a new kernel are no proposals. An answer without a kernel, or of quotes alone,
        stays as it is.
        """
        found = extract_all(draft.text, self.task.op)
        new = [one.text for one in found if self.kernels.met.first(one.kernel) is None]
        return self.distinct(Draft(text, draft.origin) for text in new) or [draft]

    def distinct(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Drafts without those that repeat an earlier one, up to names, space and comments."""
        met, found = set(), []
        for draft in drafts:
            known = fingerprint(parse(draft.text))
            if known not in met:
                met.add(known)
                found.append(draft)
        return found

    def consider(self, node: Node, draft: Draft) -> None:
        """Judge a draft, unless it is malformed, a repetition, or known from an earlier search."""
        found = sift(draft, self.task.op, self.kernels.met)
        seat = self.roster.named(node.proposer)
        if isinstance(found, Unusable):
            if seat is not None and seat.proposer.remote:
                seat.unusable()
            task = self.task
            made = verdict(found, task.op.name, task.dtype, task.device.id, task.settings.seed)
            self._keep(node, found.draft, None, made)
        elif isinstance(found, Repeated):
            if seat is not None:
                seat.repeated(node.parent)
            self._repeated(node, draft, found)
        else:
            if seat is not None:
                seat.repeats_in_row = 0
            self.kernels.met.add(found.kernel, node.id)
            self._judge(node, found)

    def judged(self, node: Node, evaluation: Evaluation) -> None:
        """Take the verdict on a kernel that was sent to the judge."""
        held = self._judging.pop(node.id)
        self._keep(node, held.draft, held.kernel, evaluation)

    def fail(self, node: Node, why: str) -> None:
        """End a node of which no kernel came."""
        self.budget.evaluations -= 1
        self.kernels.tree.close(node.id, NodeState.FAILED)
        self.journal.closed(node, self._elapsed_s(), why=why)

    def abandon(self, why: str) -> None:
        """Wait no longer for what the judge has."""
        for node_id in list(self._judging):
            self.flights.abandon(("judge", node_id))
            del self._judging[node_id]
            self.fail(self.kernels.tree[node_id], why)

    def _judge(self, node: Node, fresh: Fresh) -> None:
        """Look a kernel up in the database; what is not known there is judged on a thread."""
        known = self.journal.known(fresh.kernel)
        if known is not None and self.settled(known):
            self.budget.evaluations -= 1
            self.kernels.judged(node, fresh.draft, fresh.kernel, known, here=False)
            self._credit(node)
            self.journal.closed(node, self._elapsed_s(), fresh.draft, status=str(known.status))
            return
        self._judging[node.id] = fresh
        self.journal.opened(node, fresh.draft)
        text, seed = fresh.draft.text, self._inputs_seed
        rivals = Rivals(self.kernels.best_score)
        self.flights.start(("judge", node.id), lambda: self.evaluate(text, seed, rivals))

    def _repeated(self, node: Node, draft: Draft, found: Repeated) -> None:
        self.kernels.repeated(node, found.kernel.hash, found.first)
        self.budget.evaluations -= 1
        self.journal.closed(node, self._elapsed_s(), draft, duplicate_of=found.first)
        self.watch.event(f"{self.task.name}: the same kernel again · {label(draft.origin)}")

    def _keep(
        self, node: Node, draft: Draft, kernel: Kernel | None, evaluation: Evaluation
    ) -> None:
        self.kernels.judged(node, draft, kernel, evaluation)
        parent = self.kernels.tree[node.parent].kernel_hash if node.parent is not None else None
        with self.journal.together():
            self._credit(node)
            self.journal.judged(node, draft, kernel, evaluation, parent, self._elapsed_s())
        self.watch.judged(self.task.name, label(draft.origin), evaluation)

    def _credit(self, node: Node) -> None:
        """Let a proposer have the credit for a kernel that beats its parent."""
        seat = self.roster.named(node.proposer)
        better = self.kernels.beats_parent(node)
        self.journal.credit(node, paid=better)
        if seat is not None and better:
            seat.gains += 1
        if better and node.parent is not None:
            pair = self.kernels.tree[node.parent], node
            slower, faster = (self.kernels[n] for n in pair)
            if self.journal.learnt(self.task.op, slower, faster):
                self._lessons = None

    def _elapsed_s(self) -> float:
        return self.budget.elapsed_s(self.clock())
