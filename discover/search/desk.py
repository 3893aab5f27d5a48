"""A search that somebody else drives: prompts are handed out as tickets, answers are judged.

For a coding agent or a person: the same tree, the same judge, the same rows as any search, but the
proposer asks and tells at its own pace, from as many processes as it likes, one after another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from discover.budget.limits import Budget, Limits
from discover.calls.flights import Flights
from discover.calls.roster import Roster
from discover.drafts.draft import Draft
from discover.history.journal import Journal, Restored
from discover.history.lessons import words_of
from discover.history.reasons import reason
from discover.history.shown import shown
from discover.proposers.keys import without_secrets
from discover.search.intake import Intake, Key
from discover.search.kernels import Kernels
from discover.search.task import Evaluate, Task
from discover.search.watch import Watch
from discover.selection.tree import ROOT_PREFIX, Node, NodeState
from foundry.errors import UsageError, unknown
from foundry.judge.verdict import Evaluation
from foundry.prompts.build import Prompt, build
from foundry.store.records import Origin

_MOST_DIGITS = 18
"""Of a number in a ticket; databases hold none that is longer."""
AGENT = "agent"
"""Proposer name of what is told."""


@dataclass(frozen=True)
class Ticket:
    """A prompt that was handed out, and what to answer it under."""

    run_id: int
    node_id: int
    prompt: Prompt

    @property
    def name(self) -> str:
        """`12.7`."""
        return f"{self.run_id}.{self.node_id}"


@dataclass(frozen=True)
class Told:
    """What came of one kernel of an answer."""

    name: str
    state: str
    kernel_hash: str | None
    evaluation: Evaluation | None
    """The verdict: of a kernel that the search had already, the one from then."""
    first: str | None = None
    """Name of the node that had the kernel already."""

    def document(self) -> dict[str, Any]:
        """As JSON values; the verdict as a proposer may see it."""
        found = self.evaluation
        return {
            "ticket": self.name,
            "state": self.state,
            "kernel_hash": self.kernel_hash,
            "status": self.state if self.first or not found else str(found.status),
            "first": self.first,
            "why": reason(found) if found else "",
            "evaluation": shown(found) if found else None,
        }


def parts(ticket: str) -> tuple[int, int]:
    """Run and node of a ticket.

    Raises:
        UsageError: Not a ticket.
    """
    run, dot, node = ticket.partition(".")
    if not dot or not all(_is_number(part) for part in (run, node)):
        raise UsageError(f"'{ticket}' is no ticket; discover ask prints one, such as 12.7")
    return int(run), int(node)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


class Desk:
    """Hands out tickets of one search, and takes answers."""

    def __init__(
        self,
        task: Task,
        journal: Journal,
        evaluate: Evaluate,
        watch: Watch,
        settled: Callable[[Evaluation], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._task = task
        self._journal = journal
        self._clock = clock
        self._kernels = Kernels(task)
        self._flights: Flights[Key] = Flights()
        self._budget = Budget(Limits(), started_s=None)
        self._intake = Intake(
            task, self._kernels, Roster([]), journal, self._budget,
            self._flights, evaluate, settled, clock, watch,
        )  # fmt: skip

        self._tickets = 0
        """Handed out so far."""

    @property
    def run_id(self) -> int:
        """Of its search."""
        return self._journal.run_id

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """While somebody is at it: the time until the next one comes is nobody's."""
        self._budget.begin(Limits(), self._clock())
        try:
            yield
        finally:
            self._budget.rest(self._clock())

    def take_up(self, restored: Restored | None, starts: Iterable[Draft]) -> None:
        """Judge what was told before a kill, and the roots of a new search."""
        if restored is not None:
            self._kernels.restore(restored)
            self._budget.earlier_s = restored.elapsed_s
            self._tickets = sum(1 for node in restored.nodes if node.proposer == AGENT)
            for node in self._kernels.tree:
                if not node.is_root and node.id not in restored.siblings:
                    self._kernels.expanded(node)
            for pending in restored.pending:
                if pending.draft is not None:
                    self._intake.consider(self._kernels.tree[pending.node.id], pending.draft)
        if not self._kernels.tree.has_roots:
            for draft in self._intake.distinct(starts):
                node = self._open(None, f"{ROOT_PREFIX}{draft.origin.kind}")
                self._intake.consider(node, draft)
        self._drain()

    def ask(self) -> Ticket:
        """Choose a kernel to improve or to repair, and say all that helps."""
        parent = self._kernels.parent(may_repair=True, exclude=())
        node = self._open(parent.id if parent else None, AGENT)
        self._kernels.expanded(node)
        lessons = self._intake.lessons()
        context = replace(self._kernels.context(node, parent, self._tickets), lessons=lessons)
        self._tickets += 1
        self._journal.heard(node, lessons)
        return Ticket(self._journal.run_id, node.id, build(context))

    def tell(self, node_id: int, text: str) -> list[Told]:
        """Judge an answer; every kernel in it.

        Raises:
            UsageError: No such ticket, or one that was answered.
        """
        tree = self._kernels.tree
        if node_id not in tree or tree[node_id].proposer != AGENT:
            tickets = [str(n.id) for n in tree if n.proposer == AGENT]
            raise unknown("ticket", self._name(node_id), tickets)
        node = tree[node_id]
        if node.state is not NodeState.OPEN:
            raise UsageError(
                f"ticket {self._name(node_id)} was answered already ({node.state}); "
                "get another with discover ask"
            )
        said = without_secrets(text)
        detail = {"label": AGENT, "words": words_of(said)}
        first, *others = self._intake.split(Draft(said, Origin("proposer", AGENT, detail)))
        answered = [(node, first)]
        with self._journal.together():
            self._journal.opened(node, first)
            for other in others:
                sibling = tree.open(node.parent, AGENT)
                self._tickets += 1
                self._journal.also(sibling, other, node)
                answered.append((sibling, other))
        for one, draft in answered:
            self._intake.consider(one, draft)
        self._drain()
        return [self._told(one) for one, _ in answered]

    def _open(self, parent: int | None, proposer: str) -> Node:
        return self._kernels.tree.open(parent, proposer)

    def _told(self, node: Node) -> Told:
        first = self._kernels.first(node)
        is_judged = first.state is NodeState.JUDGED
        evaluation = self._kernels[first].evaluation if is_judged else None
        earlier = None if first is node else self._name(first.id)
        return Told(self._name(node.id), str(node.state), node.kernel_hash, evaluation, earlier)

    def _name(self, node_id: int) -> str:
        return f"{self.run_id}.{node_id}"

    def _drain(self) -> None:
        """Wait for every verdict."""
        while len(self._flights):
            landed = self._flights.next(60.0)
            if landed is None:
                continue
            if landed.error is not None:
                raise landed.error
            assert isinstance(landed.result, Evaluation)
            self._intake.judged(self._kernels.tree[landed.key[1]], landed.result)
