"""The search of one op in one dtype: select, propose, judge, tell, until a budget is used up.

1. Start or take up: roots (first points of templates, stored winners, a user's kernel), then the
   nodes of an earlier session: what was proposed is judged, what was asked is asked again.
2. Fill: while there is room and budget, PUCT selects a parent for the proposer whose turn it is.
3. Land: an answer becomes a draft, and the intake decides whether it is worth judging. Calls and
   evaluations overlap on their own threads; kernels, budget and database belong to this thread
   alone.
4. Confirm: the best few are measured once more with fresh inputs, since the best of many noisy
   draws is mostly luck.

Ownership: `kernels` holds what was tried, `selection` chooses from it, `proposers` answer, `calls`
sends and waits, `intake` sifts drafts and has them judged, `history` keeps, `budget` limits,
`watch` tells.
"""

from __future__ import annotations

import random
import secrets
from collections import deque
from collections.abc import Callable, Iterable

from discover.budget.limits import Budget
from discover.calls.flights import Flights, Landed
from discover.calls.roster import Roster, Seat
from discover.calls.sending import Calls, Errand
from discover.drafts.draft import Draft, identity, label
from discover.history.journal import Journal, Pending, Restored
from discover.protocol import Failure, FailureKind, Reply, Request
from discover.search.intake import Intake, Key
from discover.search.kernels import Kernels
from discover.search.task import Evaluate, Outcome, Task
from discover.search.watch import Silent, State, Watch
from discover.selection.puct import select
from discover.selection.tree import ROOT_PREFIX, Node
from foundry.judge.verdict import Evaluation
from foundry.kernel import parse
from foundry.store.records import Origin

MAX_LOST_CALLS = 2
"""A request whose call was lost this often in kills is not sent again."""
CONFIRM_S, CONFIRM_SHARE = 60.0, 0.2
"""The end of the time that is left to confirmation: seconds at most, share of the whole at most."""
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
        """
        self._task = task
        self._roster = roster
        self._journal = journal
        self._budget = budget
        self._evaluate = evaluate
        self._clock = clock
        self._watch = watch or Silent()
        self._kernels = Kernels(task)
        self._tree = self._kernels.tree
        self._roots: deque[Draft] = deque()
        self._flights: Flights[Key] = Flights()
        self._intake = Intake(
            task,
            self._kernels,
            roster,
            journal,
            budget,
            self._flights,
            evaluate,
            settled,
            clock,
            self._watch,
        )
        self._calls = Calls(
            journal,
            budget,
            self._flights,
            task.retry,
            limit_s=task.call_limit_s,
            clock=clock,
            rng=random.Random(f"{task.settings.seed} back-off"),
            say=self._watch.event,
        )
        limit, wanted = budget.limits.evaluations, task.settings.confirm
        self._finalists = wanted if limit is None else min(wanted, limit // 5)

    def run(self, roots: Iterable[Draft], restored: Restored | None = None) -> Outcome:
        """Search until a budget is used up or nobody has anything to propose.

        Raises:
            EnvironmentUnusable: The device stopped working.
            KeyboardInterrupt: Everything judged so far is kept.
        """
        if restored is not None:
            self._take_up(restored)
        taken = {node.kernel_hash for node in self._tree if node.is_root}
        self._roots.extend(d for d in roots if identity(d.text) not in taken)
        while True:
            reason = self._fill()
            if not len(self._flights) and not len(self._calls):
                break
            self._land()
        self._confirm()
        return self._outcome(reason)

    # Taking up

    def _take_up(self, restored: Restored) -> None:
        self._kernels.restore(restored)
        self._budget.evaluations = restored.evaluations
        self._budget.spent = restored.spent
        self._budget.earlier_s = restored.elapsed_s
        for seat in self._roster.seats:
            seat.turns = restored.turns.get(seat.proposer.name, 0)
        for pending in restored.pending:
            self._again(pending)

    def _again(self, pending: Pending) -> None:
        node = self._tree[pending.node.id]
        self._budget.evaluations += 1
        if pending.draft is not None:
            self._intake.consider(node, pending.draft)
            return
        seat = self._roster.named(node.proposer)
        if pending.call is None or seat is None or pending.sent >= MAX_LOST_CALLS:
            self._intake.fail(node, "its call was lost")
            return
        stored = pending.call.request
        limit = int(stored["max_output_tokens"])
        request = Request(pending.call.proposer, pending.call.model, stored["body"], limit)
        if reason := self._calls.refused(seat, request):
            self._intake.fail(node, reason)
        else:
            self._calls.send(Errand(node, seat, request, pending.sent + 1))

    # Filling

    def _fill(self) -> str:
        """Start whatever there is room for; why nothing more was started."""
        while True:
            reason = self._over()
            if reason is not None:
                self._out_of_time(reason)
                return reason
            if len(self._tree.in_flight()) >= self._task.parallel:
                return "busy"
            if not self._start_one():
                outs = dict.fromkeys(s.out for s in self._roster.seats if s.out)
                return "; ".join(outs) or "busy"

    def _over(self) -> str | None:
        limit = self._budget.limits.evaluations
        if limit is not None and self._budget.evaluations >= limit - self._finalists:
            return f"evaluations: {limit}"
        reason = self._budget.exhausted(self._clock())
        left_s, limit_s = self._budget.remaining_s(self._clock()), self._budget.limits.seconds
        if reason is None and self._finalists and left_s is not None and limit_s is not None:
            # Time for the second look is set aside, so that it does not run over.
            late = left_s <= min(CONFIRM_S, CONFIRM_SHARE * limit_s)
            return f"time: {limit_s:g} s" if late else None
        return reason

    def _start_one(self) -> bool:
        if self._roots:
            draft = self._roots.popleft()
            node = self._tree.open(None, f"{ROOT_PREFIX}{draft.origin.kind}")
            self._budget.evaluations += 1
            self._intake.consider(node, draft)
            return True
        return any(self._expand(seat) for seat in self._roster.active(self._clock()))

    def _expand(self, seat: Seat) -> bool:
        """Open one expansion for a proposer; False when it has none to open now."""
        while seat.out is None:
            parent = select(
                self._tree,
                exploration=self._task.settings.exploration,
                may_repair=seat.proposer.may_repair,
                exclude=seat.exhausted,
            )
            if parent is None and (self._tree.in_flight() or len(self._calls)):
                return False  # what is in flight may become a parent
            if parent is None and self._tree.best() is not None:
                seat.out = f"{seat.title} has made every move from every kernel"
                return False
            node = self._tree.open(parent.id if parent else None, seat.proposer.name)
            request = seat.proposer.request(self._kernels.context(node, parent, seat.turns))
            if isinstance(request, Request) and self._ask(seat, node, request):
                return True
            self._tree.withdraw(node.id)
            if isinstance(request, Failure):
                self._nothing_from(seat, parent, request)
        return False

    def _ask(self, seat: Seat, node: Node, request: Request) -> bool:
        """Send a request, unless the budget refuses it."""
        if seat.proposer.remote and (reason := self._calls.refused(seat, request)):
            seat.out = reason
            return False
        seat.turns += 1
        self._budget.evaluations += 1
        if seat.proposer.remote:
            self._calls.send(Errand(node, seat, request))
            return True
        reply = seat.proposer.send(request, self._task.call_limit_s)
        if isinstance(reply, Failure):
            self._intake.fail(node, reply.message)
            return True
        origin = Origin("proposer", seat.proposer.name, dict(reply.detail))
        self._intake.consider(node, Draft(reply.text, origin))
        return True

    def _nothing_from(self, seat: Seat, parent: Node | None, failure: Failure) -> None:
        if failure.kind is FailureKind.EXHAUSTED and parent is not None:
            seat.exhausted.add(parent.id)
        else:
            seat.out = failure.message

    # Landing

    def _land(self) -> None:
        wait_s = self._calls.next_due_s()
        landed = self._flights.next(_POLL_S if wait_s is None else min(_POLL_S, wait_s))
        if landed is not None:
            if landed.error is not None:
                raise landed.error
            self._landed(landed)
        for node, failure in self._calls.due():
            self._intake.fail(node, failure.message)
        self._tell()

    def _landed(self, landed: Landed[Key]) -> None:
        what, node_id = landed.key
        node = self._tree[node_id]
        if what == "judge":
            assert isinstance(landed.result, Evaluation)
            self._intake.judged(node, landed.result)
            return
        assert isinstance(landed.result, Reply | Failure)
        found = self._calls.landed(node_id, landed.result)
        if isinstance(found, Draft):
            self._intake.consider(node, found)
        elif found is not None:
            self._intake.fail(node, found.message)

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

    def _confirm(self) -> None:
        """Measure the best again; what is found replaces what was drawn."""
        chosen = self._kernels.finalists(self._finalists)
        # All meet the same inputs, which nobody can have seen before.
        seed = secrets.randbits(48)
        for node in chosen:
            if self._kernels.is_confirmed(node) or self._budget.exhausted(self._clock()):
                continue
            self._budget.evaluations += 1
            evaluation = self._evaluate(self._kernels[node].text, seed, len(chosen))
            found = self._kernels.confirmed(node, evaluation)
            kernel = parse(found.text)
            self._journal.confirmed(node, found, kernel, evaluation, self._elapsed_s())
            origin = Origin(**found.detail["origin"])
            self._watch.judged(self._task.name, f"confirmed: {label(origin)}", evaluation)
        self._tell()

    def _outcome(self, reason: str) -> Outcome:
        best, start = self._kernels.winner(), self._kernels.start()
        seats = self._roster.seats
        broken = [s.out for s in seats if s.out and s.broken]
        return Outcome(
            run_id=self._journal.run_id,
            best=self._kernels[best] if best else None,
            start=self._kernels[start] if start else None,
            state=self._state(),
            reason=reason,
            broken="; ".join(broken) if len(broken) == len(seats) else None,
        )

    def _state(self) -> State:
        best = self._tree.best()
        return State(
            name=self._task.name,
            evaluations=self._budget.evaluations - len(self._tree.in_flight()),
            limits=self._budget.limits,
            spent=self._budget.spent,
            elapsed_s=self._elapsed_s(),
            statuses=dict(self._kernels.statuses),
            best=self._kernels[best].evaluation if best else None,
            depth=self._tree.depth(),
        )

    def _tell(self) -> None:
        self._watch.changed(self._state())

    def _elapsed_s(self) -> float:
        return self._budget.elapsed_s(self._clock())
