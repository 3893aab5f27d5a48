"""A search that somebody else drives: prompts are handed out as tickets, answers are judged.

For a coding agent or a person: the same tree, the same judge, the same rows as any search, but the
proposer asks and tells at its own pace, from as many processes as it likes, one after another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from discover.budget.limits import Budget, Limits
from discover.calls.flights import Flights
from discover.calls.roster import Roster
from discover.drafts.draft import Draft
from discover.history.journal import Journal, Restored
from discover.history.lessons import words_of
from discover.history.reasons import reason
from discover.history.shown import shown
from discover.search.intake import Intake, Key
from discover.search.kernels import Kernels
from discover.search.roots import roots
from discover.search.session import checked_op, evaluator, fit_for_strangers, journal_of, task_of
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.task import Evaluate, Task
from discover.search.watch import Watch
from discover.search.workbench import Workbench
from discover.selection.tree import ROOT_PREFIX, Node, NodeState
from foundry.errors import UsageError, unknown
from foundry.judge.verdict import Evaluation
from foundry.prompts.build import Prompt, build
from foundry.store.records import Origin
from ops.spec import Op

if TYPE_CHECKING:
    from foundry.store import Store
    from foundry.store.records import RunRecord

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
    """None for a kernel that the search had already."""

    def document(self) -> dict[str, Any]:
        """As JSON values; the verdict as a proposer may see it."""
        found = self.evaluation
        return {
            "ticket": self.name,
            "state": self.state,
            "kernel_hash": self.kernel_hash,
            "status": str(found.status) if found else self.state,
            "why": reason(found) if found else "",
            "evaluation": shown(found) if found else None,
        }


def parts(ticket: str) -> tuple[int, int]:
    """Run and node of a ticket.

    Raises:
        UsageError: Not a ticket.
    """
    run, dot, node = ticket.partition(".")
    if not dot or not run.isdecimal() or not node.isdecimal():
        raise UsageError(f"'{ticket}' is no ticket; discover ask prints one, such as 12.7")
    return int(run), int(node)


class Desk:
    """Hands out tickets of one search, and takes answers."""

    def __init__(
        self,
        task: Task,
        journal: Journal,
        evaluate: Evaluate,
        watch: Watch,
        settled: Callable[[Evaluation], bool],
    ) -> None:
        self._task = task
        self._journal = journal
        self._kernels = Kernels(task)
        self._flights: Flights[Key] = Flights()
        self._intake = Intake(
            task, self._kernels, Roster([]), journal, Budget(Limits(), started_s=time.monotonic()),
            self._flights, evaluate, settled, time.monotonic, watch,
        )  # fmt: skip

    @property
    def run_id(self) -> int:
        """Of its search."""
        return self._journal.run_id

    def take_up(self, restored: Restored | None, starts: Iterable[Draft]) -> None:
        """Judge what was told before a kill, and the roots of a new search."""
        if restored is not None:
            self._kernels.restore(restored)
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
        turn = sum(1 for n in self._kernels.tree if n.proposer == AGENT) - 1
        lessons = self._intake.lessons()
        context = replace(self._kernels.context(node, parent, turn), lessons=lessons)
        self._journal.heard(node, lessons)
        return Ticket(self._journal.run_id, node.id, build(context))

    def tell(self, node_id: int, text: str) -> list[Told]:
        """Judge an answer; every kernel in it.

        Raises:
            UsageError: No such ticket, or one that was answered.
        """
        tree = self._kernels.tree
        tickets = [n.id for n in tree if n.proposer == AGENT]
        if node_id not in tickets:
            raise unknown("ticket", f"{self._journal.run_id}.{node_id}", map(str, tickets))
        node = tree[node_id]
        if node.state is not NodeState.OPEN:
            raise UsageError(
                f"ticket {self._journal.run_id}.{node_id} was answered already ({node.state}); "
                "get another with discover ask"
            )
        detail = {"label": AGENT, "words": words_of(text)}
        first, *others = self._intake.split(Draft(text, Origin("proposer", AGENT, detail)))
        answered = [(node, first)]
        with self._journal.together():
            self._journal.opened(node, first)
            for other in others:
                sibling = tree.open(node.parent, AGENT)
                self._journal.opened(sibling, other, sibling_of=node.id)
                answered.append((sibling, other))
        for one, draft in answered:
            self._intake.consider(one, draft)
        self._drain()
        return [self._told(one) for one, _ in answered]

    def _open(self, parent: int | None, proposer: str) -> Node:
        return self._kernels.tree.open(parent, proposer)

    def _told(self, node: Node) -> Told:
        evaluation = None
        if node.state is NodeState.JUDGED:
            evaluation = self._kernels[node].evaluation
        name = f"{self._journal.run_id}.{node.id}"
        return Told(name, str(node.state), node.kernel_hash, evaluation)

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


@contextmanager
def new_desk(bench: Workbench, request: SearchRequest, watch: Watch) -> Iterator[Desk]:
    """The desk of a search, taken up or begun; its roots are judged.

    Raises:
        UsageError: An unknown name, or another process is at work on the same search.
        EnvironmentUnusable: The device stopped working, or kernels of strangers must not run here.
    """
    op = checked_op(request)
    fit_for_strangers(bench)
    journal, restored = journal_of(bench, request)
    with _opened(bench, journal, request, op, watch) as desk:
        desk.take_up(restored, roots(request, op, bench.store, bench.seat.device))
        yield desk


@contextmanager
def desk_of(bench: Workbench, run_id: int, watch: Watch) -> Iterator[Desk]:
    """The desk that handed out the tickets of a run.

    Raises:
        UsageError: No such run, one whose tickets these are not, or one of another device or of
            other bench workloads.
        EnvironmentUnusable: The device stopped working, or kernels of strangers must not run here.
    """
    run = ticketed(bench.store, run_id)
    _same_measure(bench, run)
    fit_for_strangers(bench)
    kept = {name: run.settings[name] for name in ("strategy", "repair") if name in run.settings}
    settings = SearchSettings(
        proposers=("ask",), bench=run.settings["bench"], seed=run.seed, **kept
    )
    request = SearchRequest(
        run.settings["op"], run.settings["dtype"], Limits(), run.command, settings
    )
    bench.store.resume_run(run_id)
    journal = Journal(bench.store, run_id, bench.seat.device, request.dtype)
    with _opened(bench, journal, request, checked_op(request), watch) as desk:
        desk.take_up(journal.restore(), ())
        yield desk


def ticketed(store: Store, run_id: int) -> RunRecord:
    """The run that handed out tickets of this number.

    Raises:
        UsageError: No such run, or one that handed out none.
    """
    run = next((run for run in store.runs() if run.id == run_id), None)
    if run is None or run.kind != "search" or "ask" not in run.settings.get("proposers", ()):
        raise UsageError(f"run {run_id} handed out no tickets; get one with discover ask")
    return run


def _same_measure(bench: Workbench, run: RunRecord) -> None:
    """Refuse a run whose kernels were measured elsewhere, or on other workloads."""
    here = bench.seat.device
    if run.device.id != here.id:
        raise UsageError(
            f"run {run.id} is of {run.device.name} ({run.device.kind}), and this is {here.name} "
            f"({here.kind}); choose that one with --device, or get a ticket here with discover ask"
        )
    if run.settings["bench"] != bench.timed:
        raise UsageError(
            f"run {run.id} times the bench workloads '{run.settings['bench']}', and here "
            f"'{bench.timed}' are timed; choose them with --bench"
        )


@contextmanager
def _opened(
    bench: Workbench, journal: Journal, request: SearchRequest, op: Op, watch: Watch
) -> Iterator[Desk]:
    """A desk whose run is given free at the end: tickets outlive the process."""
    task = task_of(bench, request, op, remote=True)
    judge = evaluator(bench, request, op, counted=request.settings.counters)
    try:
        yield Desk(task, journal, judge, watch, lambda e: bench.seat.settled(e, op))
    finally:
        with suppress(Exception):
            bench.store.finish_run(journal.run_id, "interrupted")
