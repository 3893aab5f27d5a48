"""The search of one op in one dtype: select, propose, judge, tell, until a budget is used up.

1. Start or take up: roots (first points of templates, stored winners, a user's kernel), or the
   nodes of an earlier session: what was proposed is judged, what was asked is asked again.
2. Fill: roots are judged before anything is asked. Then, while there is room and budget, a parent
   is selected for the proposer whose turn it is.
3. Land: an answer becomes a draft, and the intake decides whether it is worth judging. Calls and
   evaluations overlap on their own threads; kernels, budget and database belong to this thread
   alone.
4. Confirm: the best few are measured once more with fresh inputs (`second_looks`).

Ownership: `kernels` holds what was tried, `selection` chooses from it, `expanding` asks
`proposers`, `calls` sends and waits, `intake` sifts drafts and has them judged, `history` keeps,
`budget` limits, `parting` ends early, `watch` tells.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from discover.budget.limits import Budget, Limits, Spend
from discover.calls.flights import Flights, Landed
from discover.calls.roster import Roster
from discover.calls.sending import Calls, Errand
from discover.drafts.draft import Draft
from discover.history.journal import Journal, Pending, Restored
from discover.protocol import Failure, Reply, Request
from discover.search.expanding import Expander
from discover.search.intake import Intake, Key
from discover.search.kernels import Kernels
from discover.search.pace import JudgingPace
from discover.search.parting import Parting
from discover.search.second_looks import SecondLooks
from discover.search.task import Evaluate, Outcome, Task
from discover.search.watch import Silent, State, Watch
from discover.selection.tree import ROOT_PREFIX, Node, NodeState
from foundry.judge.verdict import Evaluation

MAX_LOST_CALLS = 5
"""A request whose call was lost this often in kills is not sent again."""
GRACE_S = 15.0
"""How long after its end a search waits for what is under way."""
_POLL_S = 0.5
"""How long one wait for results lasts at most; then budgets and back-offs are looked at again."""


class Search:
    """One search."""

    def __init__(
        self,
        task: Task,
        roster: Roster,
        journal: Journal,
        budget: Budget,
        evaluate: Evaluate,
        settled: Callable[[Evaluation], bool],
        *,
        clock: Callable[[], float],
        watch: Watch | None = None,
        stopping: Callable[[], bool] = lambda: False,
        flights: Flights[Key] | None = None,
    ) -> None:
        """Take what a search needs.

        Args:
            task: What is searched.
            roster: Who proposes.
            journal: Where everything is kept.
            budget: What it may use.
            evaluate: The judge.
            settled: Whether a stored evaluation answers this search, or must be made again.
            clock: Seconds, monotonic.
            watch: Who is told.
            stopping: Whether somebody wants the search to leave: it then waits for the answers
                that are on their way, and no more.
            flights: Runs what takes time; on threads where none is given.
        """
        self._task = task
        self._roster = roster
        self._journal = journal
        self._budget = budget
        pace = JudgingPace(clock)
        evaluate = pace.measured(evaluate)
        self._clock = clock
        self._watch = watch or Silent()
        self._stopping = stopping
        self._kernels = Kernels(task)
        self._tree = self._kernels.tree
        self._ready: deque[tuple[Node, Draft]] = deque()
        self._flights: Flights[Key] = Flights() if flights is None else flights
        self._intake = Intake(
            task, self._kernels, roster, journal, budget, self._flights, evaluate, settled,
            clock, self._watch,
        )  # fmt: skip
        self._calls = Calls(
            journal,
            budget,
            self._flights,
            task.retry,
            limit_s=task.call_limit_s,
            grace_s=GRACE_S,
            clock=clock,
            rng=random.Random(f"{task.settings.seed} back-off"),
            say=self._watch.event,
            split=self._split,
        )
        self._expander = Expander(
            task, self._kernels, roster, budget, self._calls, self._intake, clock, self._under_way
        )
        self._second_looks = SecondLooks(
            task, self._kernels, journal, budget, evaluate, pace, self._watch, clock, stopping
        )
        self._parting = Parting(
            self._flights, self._calls, self._intake, self._watch, self._landed, self._tell
        )
        self._earlier = 0
        self._earlier_s = 0.0

    def run(self, roots: Iterable[Draft], restored: Restored | None = None) -> Outcome:
        """Search until a budget is used up or nobody has anything to propose.

        Raises:
            EnvironmentUnusable: The device stopped working.
            KeyboardInterrupt: Everything judged so far is kept.
        """
        self.take_up(roots, restored)
        return self.go_on(self._budget.limits)

    def take_up(self, roots: Iterable[Draft], restored: Restored | None) -> None:
        """Remember what earlier sessions did; open the roots of a new search."""
        if restored is not None:
            self._take_up(restored)
        self._open_roots(roots)

    def go_on(self, limits: Limits) -> Outcome:
        """Search within limits, which may be larger than those it stopped at.

        Baselines, inputs, and what everybody is known for stay as they are.

        Raises:
            EnvironmentUnusable: The device stopped working.
            KeyboardInterrupt: Everything judged so far is kept.
        """
        self._allow(limits)
        try:
            return self._search()
        finally:
            self._budget.rest(self._clock())

    def _allow(self, limits: Limits) -> None:
        self._budget.begin(limits, self._clock())
        self._roster.allow(limits)
        self._second_looks.allow(limits)

    def _search(self) -> Outcome:
        while True:
            reason, over = self._fill()
            if not self._under_way() and (over or not self._returns_in_s()):
                break
            self._land()
            if self._stopping():
                self._parting.leave()
        self._second_looks.take()
        self._tell()
        return self._outcome(reason, over=over)

    def _under_way(self) -> bool:
        return bool(len(self._flights) or len(self._calls))

    def _is_hurried(self) -> bool:
        """Whether nobody waits for answers on their way."""
        return self._stopping() or not self._task.settings.wait

    def _returns_in_s(self) -> float | None:
        return self._roster.returns_in_s(self._clock())

    # Taking up

    def _take_up(self, restored: Restored) -> None:
        self._kernels.restore(restored)
        self._budget.evaluations = self._earlier = restored.evaluations
        self._budget.spent, self._budget.unsure = restored.spent, restored.unsure
        self._budget.earlier_s = self._earlier_s = restored.elapsed_s
        for seat in self._roster.seats:
            seat.turns = restored.turns.get(seat.proposer.name, 0)
        for call in restored.answered:
            found = self._roster.of_model(call.proposer, call.model)
            now = found.remember(call.tokens) if found is not None else Spend()
            if call.cost_usd is None:  # no price was known then
                self._budget.spent += Spend(0, now.usd)
        for node in self._tree:
            self._remember(node, turn=node.id not in restored.siblings)
        for pending in restored.pending:
            self._again(pending)

    def _remember(self, node: Node, *, turn: bool) -> None:
        """Let a stored node count for its proposer, and its turn for the share of repairs."""
        seat = self._roster.named(node.proposer)
        if seat is None or node.is_root:
            return
        seat.gains += self._kernels.beats_parent(node)
        if turn and seat.proposer.may_repair:
            self._kernels.expanded(node)

    def _again(self, pending: Pending) -> None:
        node = self._tree[pending.node.id]
        if pending.draft is not None:
            self._ready.append((node, pending.draft))
            return
        self._budget.evaluations += 1
        seat = self._roster.named(node.proposer)
        if pending.call is None or seat is None or pending.lost >= MAX_LOST_CALLS:
            self._intake.fail(node, "its call was lost")
            return
        stored = pending.call.request
        limit = int(stored["max_output_tokens"])
        request = Request(pending.call.proposer, pending.call.model, stored["body"], limit)
        self._calls.queue(Errand(node, seat, request))

    def _open_roots(self, roots: Iterable[Draft]) -> None:
        """Open all roots in one transaction; a search that is taken up has its roots already."""
        if any(node.is_root for node in self._tree):
            return
        with self._journal.together():
            for draft in self._intake.distinct(roots):
                node = self._tree.open(None, f"{ROOT_PREFIX}{draft.origin.kind}")
                self._journal.opened(node, draft)
                self._ready.append((node, draft))

    # Filling

    def _fill(self) -> tuple[str, bool]:
        """Start whatever there is room for; why nothing more was started, and if for good."""
        for node, failure in (*self._calls.overdue(), *self._calls.due()):
            self._intake.fail(node, failure.message)
        while True:
            reason = self._over()
            if reason is not None:
                self._out_of_time(reason)
                return reason, True
            if len(self._flights) >= self._task.parallel:
                return "busy", False
            if not self._start_one():
                return "; ".join(self._roster.outs()) or "busy", False

    def _over(self) -> str | None:
        limit = self._budget.limits.evaluations
        if limit is not None and self._budget.evaluations >= limit - self._second_looks.count:
            return f"evaluations: {limit}"
        self._budget.kept_s = self._second_looks.kept_s()
        reason = self._budget.exhausted(self._clock())
        # What was answered is paid: it is judged as long as any time is left.
        if reason is None and not self._ready and self._budget.working_s(self._clock()) == 0:
            return f"time: {self._budget.limits.seconds:g} s"
        return reason

    def _start_one(self) -> bool:
        if self._ready:
            node, draft = self._ready.popleft()
            self._budget.evaluations += 1
            self._intake.consider(node, draft)
            return True
        # What a root earns decides what is asked for first.
        return not self._kernels.roots_open() and self._expander.start_one()

    # Landing

    def _land(self) -> None:
        wait_s = self._returns_in_s()
        landed = self._flights.next(_POLL_S if wait_s is None else min(_POLL_S, wait_s))
        if landed is not None:
            if landed.error is not None:
                self._parting.salvage(landed.error, self._is_hurried)
                raise landed.error
            self._ready.extendleft(reversed(self._landed(landed)))
        self._tell()

    def _split(self, node: Node, answer: Draft) -> list[tuple[Node, Draft]]:
        """Every kernel of an answer with a node: the first keeps its own, others get siblings."""
        first, *others = self._intake.split(answer)
        siblings = [(self._tree.open(node.parent, node.proposer), draft) for draft in others]
        return [(node, first), *siblings]

    def _landed(self, landed: Landed[Key]) -> list[tuple[Node, Draft]]:
        """Take in what came; the drafts of an answer are left to the caller."""
        what, node_id = landed.key
        node = self._tree[node_id]
        if what == "judge":
            assert isinstance(landed.result, Evaluation)
            self._intake.judged(node, landed.result)
            return []
        assert isinstance(landed.result, Reply | Failure)
        found = self._calls.landed(node_id, landed.result)
        if isinstance(found, Failure):
            self._intake.fail(node, found.message)
        elif found is not None:
            # The evaluation that was set aside for its call is counted again when it is judged.
            self._budget.evaluations -= 1
            return found
        return []

    def _out_of_time(self, reason: str) -> None:
        """Give up what waits once time is up, and what flies a little later."""
        if self._budget.remaining_s(self._clock()) != 0.0:
            return
        limit_s = self._budget.limits.seconds or 0.0
        late = self._elapsed_s() > limit_s + GRACE_S
        for node, failure in self._calls.stop(flying=late):
            self._intake.fail(node, failure.message)
        if late:
            self._intake.abandon(f"{reason} before its evaluation ended")

    # Ending

    def _outcome(self, reason: str, *, over: bool) -> Outcome:
        best, start = self._kernels.winner(), self._kernels.start()
        broken = None if over else self._roster.broken()
        return Outcome(
            run_id=self._journal.run_id,
            best=self._kernels[best] if best else None,
            start=self._kernels[start] if start else None,
            state=self._state(),
            reason=reason,
            by_budget=over or self._budget_ends(),
            broken=broken,
            broken_everywhere=broken is not None and self._roster.fails_everywhere(),
            away_s=self._roster.absences(self._clock()),
        )

    def _budget_ends(self) -> bool:
        """Whether a larger budget, or the same one with time left, would let it go on."""
        return any(seat.out is not None and seat.unaffordable for seat in self._roster.seats)

    def rewards(self) -> list[float | None]:
        """What every judged kernel earned, in order; None for a failure."""
        return [node.reward for node in self._tree if node.state is NodeState.JUDGED]

    def _state(self) -> State:
        best = self._tree.best()
        return State(
            name=self._task.name,
            evaluations=self._budget.evaluations - len(self._flights) - len(self._calls),
            limits=self._budget.limits,
            spent=self._budget.spent,
            at_most=self._budget.at_most(),
            elapsed_s=self._elapsed_s(),
            statuses=dict(self._kernels.statuses),
            best=self._kernels[best].evaluation if best else None,
            depth=self._tree.depth(),
            earlier=self._earlier,
            earlier_s=self._earlier_s,
            away=self._roster.away(self._clock()),
        )

    def _tell(self) -> None:
        self._watch.changed(self._state())

    def _elapsed_s(self) -> float:
        return self._budget.elapsed_s(self._clock())
