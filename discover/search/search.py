"""The search of one op in one dtype: select, propose, judge, tell, until a budget is used up.

1. Start or take up: roots (first points of templates, stored winners, a user's kernel), then the
   nodes of an earlier session: what was proposed is judged, what was asked is asked again.
2. Fill: while there is room and budget, PUCT selects a parent for the proposer whose turn it is.
3. Land: an answer becomes a draft; a draft is parsed, compared with all kernels met so far, looked
   up in the database, and only then judged. Calls and evaluations overlap on their own threads;
   tree, budget and database belong to this thread alone.
4. Confirm: the best few are measured once more with fresh inputs, since the best of many noisy
   draws is mostly luck.

Ownership: `tree` and `puct` select, `proposers` answer, `calls` sends and waits, `parsing` and
`novelty` sift, `journal` keeps, `budget` limits, `flights` runs threads, `watch` shows.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable

from discover.budget.limits import Budget
from discover.calls.flights import Flights, Landed
from discover.calls.roster import Roster, Seat
from discover.calls.sending import Calls, Errand
from discover.drafts.draft import Draft, identity, label, text_hash
from discover.drafts.novelty import Novelty
from discover.drafts.parsing import Malformed, extract
from discover.history.journal import Journal, Pending, Restored, attempt
from discover.protocol import Attempt, Context, Failure, FailureKind, Reply, Request
from discover.search.task import Outcome, Task
from discover.search.watch import Silent, State, Watch
from discover.selection.finalists import finalists
from discover.selection.puct import select
from discover.selection.reward import REPAIRABLE, reward
from discover.selection.tree import ROOT_PREFIX, Node, NodeState, Tree
from foundry.judge.verdict import Diagnostic, Evaluation, Status
from foundry.kernel import Kernel, parse, render
from foundry.store.records import Origin

MAX_LOST_CALLS = 2
"""A request whose call was lost this often in kills is not sent again."""
CONFIRM_S, CONFIRM_SHARE = 60.0, 0.2
"""The end of the time that is left to confirmation: seconds at most, share of the whole at most."""
GRACE_S = 15.0
"""How long after its end a search waits for what is under way."""


class Search:
    """One search. `evaluate(text, seed)` judges; it is called from several threads."""

    def __init__(
        self,
        task: Task,
        roster: Roster,
        journal: Journal,
        budget: Budget,
        evaluate: Callable[[str, int], Evaluation],
        settled: Callable[[Evaluation], bool],
        expect: Callable[[int], None] = lambda count: None,
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
            expect: Hears how many finalists are to come, so that their intervals are widened for
                the best of that many.
            clock: Seconds, monotonic.
            watch: Who is told.
        """
        self._task = task
        self._roster = roster
        self._journal = journal
        self._budget = budget
        self._evaluate = evaluate
        self._settled = settled
        self._expect = expect
        self._clock = clock
        self._watch = watch or Silent()
        self._tree = Tree()
        self._novelty = Novelty()
        self._attempts: dict[int, Attempt] = {}
        self._drafts: dict[int, tuple[Draft, Kernel]] = {}
        self._roots: deque[Draft] = deque()
        self._statuses: Counter[str] = Counter()
        self._confirmed: set[int] = set()
        # Of no other choice: what a search can be told must not tell on what its kernels meet.
        self._inputs_seed = secrets.randbits(48)
        self._flights: Flights[tuple[str, int]] = Flights()
        self._calls = Calls(
            journal,
            budget,
            self._flights,
            task.retry,
            limit_s=task.call_limit_s,
            clock=clock,
            rng=random.Random(f"{task.seed} back-off"),
            say=self._watch.event,
        )
        limit = budget.limits.evaluations
        self._finalists = task.confirm if limit is None else min(task.confirm, limit // 5)

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
        self._tree.restore(restored.nodes)
        self._budget.evaluations = restored.evaluations
        self._budget.spent = restored.spent
        self._budget.earlier_s = restored.elapsed_s
        self._confirmed = set(restored.confirmed)
        for seat in self._roster.seats:
            seat.turns = restored.turns.get(seat.proposer.name, 0)
        for node_id, found in restored.attempts.items():
            self._attempts[node_id] = found
            self._statuses[str(found.evaluation.status)] += 1
            if found.evaluation.status is not Status.INVALID:
                self._novelty.add(parse(found.text), node_id)
        for pending in restored.pending:
            self._again(pending)

    def _again(self, pending: Pending) -> None:
        node = self._tree[pending.node.id]
        self._budget.evaluations += 1
        if pending.draft is not None:
            self._consider(node, pending.draft)
            return
        seat = self._roster.named(node.proposer)
        if pending.call is None or seat is None or pending.sent >= MAX_LOST_CALLS:
            self._fail(node, "its call was lost")
            return
        stored = pending.call.request
        limit = int(stored["max_output_tokens"])
        request = Request(pending.call.proposer, pending.call.model, stored["body"], limit)
        if reason := self._calls.refused(seat, request):
            self._fail(node, reason)
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
            self._consider(node, draft)
            return True
        return any(self._expand(seat) for seat in self._roster.active(self._clock()))

    def _expand(self, seat: Seat) -> bool:
        """Open one expansion for a proposer; False when it has none to open now."""
        while seat.out is None:
            parent = select(
                self._tree,
                exploration=self._task.exploration,
                may_repair=seat.proposer.may_repair,
                exclude=seat.exhausted,
            )
            if parent is None and (self._tree.in_flight() or len(self._calls)):
                return False  # what is in flight may become a parent
            if parent is None and self._tree.best() is not None:
                seat.out = f"{seat.title} has made every move from every kernel"
                return False
            node = self._tree.open(parent.id if parent else None, seat.proposer.name)
            request = seat.proposer.request(self._context(node, parent, seat.turns))
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
            self._fail(node, reply.message)
            return True
        origin = Origin("proposer", seat.proposer.name, dict(reply.detail))
        self._consider(node, Draft(reply.text, origin))
        return True

    def _nothing_from(self, seat: Seat, parent: Node | None, failure: Failure) -> None:
        if failure.kind is FailureKind.EXHAUSTED and parent is not None:
            seat.exhausted.add(parent.id)
        else:
            seat.out = failure.message

    def _context(self, node: Node, parent: Node | None, turn: int) -> Context:
        children = [self._tree[c] for c in reversed(parent.children)] if parent else []
        best = sorted(
            (n for n in self._tree if n.reward is not None and n is not parent),
            key=lambda n: (-(n.reward or 0.0), n.id),
        )
        return Context(
            op=self._task.op,
            dtype=self._task.dtype,
            device=self._task.device,
            parent=self._attempts[parent.id] if parent else None,
            timed=self._task.timed,
            failures=tuple(
                self._attempts[c.id]
                for c in children
                if c.id in self._attempts and c.reward is None
            ),
            relatives=tuple(self._attempts[n.id] for n in best[:4]),
            turn=turn,
            seed=random.Random(f"{self._task.seed} {node.id}").randrange(2**31),
            seen=lambda kernel: self._novelty.first(kernel) is not None,
        )

    # Landing

    def _land(self) -> None:
        wait_s = self._calls.next_due_s()
        landed = self._flights.next(0.5 if wait_s is None else min(0.5, wait_s))
        if landed is not None:
            if landed.error is not None:
                raise landed.error
            self._landed(landed)
        for node, failure in self._calls.due():
            self._fail(node, failure.message)
        self._tell()

    def _landed(self, landed: Landed[tuple[str, int]]) -> None:
        what, node_id = landed.key
        node = self._tree[node_id]
        if what == "judge":
            assert isinstance(landed.result, Evaluation)
            self._judged(node, landed.result)
            return
        assert isinstance(landed.result, Reply | Failure)
        found = self._calls.landed(node_id, landed.result)
        if isinstance(found, Draft):
            self._consider(node, found)
        elif found is not None:
            self._fail(node, found.message)

    def _consider(self, node: Node, draft: Draft) -> None:
        """Sift a draft: malformed, duplicate, known, or to be judged."""
        found = extract(draft.text, self._task.op)
        if isinstance(found, Malformed):
            self._malformed(node, draft, found)
            return
        kernel = found.kernel
        first = self._novelty.first(kernel)
        seat = self._roster.named(node.proposer)
        if first is not None:
            if seat is not None:
                seat.repeated()
            self._tree.close(node.id, NodeState.DUPLICATE, kernel.hash)
            self._budget.evaluations -= 1
            self._journal.closed(node, self._elapsed_s(), draft, duplicate_of=first)
            self._watch.event(f"{self._name()}: the same kernel again · {label(draft.origin)}")
            return
        if seat is not None:
            seat.repeats_in_row = 0
        self._novelty.add(kernel, node.id)
        draft = Draft(render(kernel), draft.origin)
        known = self._journal.known(kernel)
        if known is not None and self._settled(known):
            self._budget.evaluations -= 1
            self._close(node, draft, known)
            self._journal.closed(node, self._elapsed_s(), draft, status=str(known.status))
            return
        self._drafts[node.id] = (draft, kernel)
        self._journal.opened(node, draft)
        seed, text = self._inputs_seed, draft.text
        self._flights.start(("judge", node.id), lambda: self._evaluate(text, seed))

    def _malformed(self, node: Node, draft: Draft, found: Malformed) -> None:
        text = found.text or draft.text
        evaluation = _invalid(self._task, text, found)
        self._save(node, Draft(text, draft.origin), None, evaluation)

    def _judged(self, node: Node, evaluation: Evaluation) -> None:
        draft, kernel = self._drafts.pop(node.id)
        self._save(node, draft, kernel, evaluation)

    def _save(
        self, node: Node, draft: Draft, kernel: Kernel | None, evaluation: Evaluation
    ) -> None:
        self._close(node, draft, evaluation)
        parent = self._tree[node.parent].kernel_hash if node.parent is not None else None
        self._journal.judged(node, draft, kernel, evaluation, parent, self._elapsed_s())
        self._watch.judged(self._name(), label(draft.origin), evaluation)

    def _close(self, node: Node, draft: Draft, evaluation: Evaluation) -> None:
        self._tree.close(
            node.id,
            NodeState.JUDGED,
            evaluation.kernel_hash,
            reward(evaluation),
            repairable=evaluation.status in REPAIRABLE,
        )
        self._attempts[node.id] = attempt(draft.text, evaluation, draft.origin)
        self._statuses[str(evaluation.status)] += 1

    def _fail(self, node: Node, why: str) -> None:
        self._budget.evaluations -= 1
        self._tree.close(node.id, NodeState.FAILED)
        self._journal.closed(node, self._elapsed_s(), why=why)

    def _out_of_time(self, reason: str) -> None:
        """Give up what waits once time is up, and what flies a little later."""
        if self._budget.remaining_s(self._clock()) != 0.0:
            return
        limit_s = self._budget.limits.seconds or 0.0
        late = self._elapsed_s() > limit_s + GRACE_S
        for node, failure in self._calls.stop(flying=late):
            self._fail(node, failure.message)
        for what, node_id in self._flights.keys() if late else ():
            if what == "judge":
                self._flights.abandon((what, node_id))
                self._drafts.pop(node_id)
                self._fail(self._tree[node_id], f"{reason} before its evaluation ended")

    # Ending

    def _confirm(self) -> None:
        """Measure the best again; what is found replaces what was drawn."""
        passed = {
            node.id: self._attempts[node.id].evaluation
            for node in self._tree
            if node.reward is not None
        }
        start = self._start()
        chosen = finalists(passed, start.id if start else None, self._finalists)
        self._expect(len(chosen))
        # All meet the same inputs, which nobody can have seen before.
        seed = secrets.randbits(48)
        for node_id in chosen:
            if node_id not in self._confirmed and not self._budget.exhausted(self._clock()):
                self._measure_again(self._tree[node_id], seed)
        self._tell()

    def _measure_again(self, node: Node, seed: int) -> None:
        held = self._attempts[node.id]
        self._budget.evaluations += 1
        evaluation = self._evaluate(held.text, seed)
        self._confirmed.add(node.id)
        self._tree.revalue(node.id, reward(evaluation))
        found = Attempt(held.text, evaluation, held.detail)
        self._attempts[node.id] = found
        self._journal.confirmed(node, found, parse(held.text), evaluation, self._elapsed_s())
        self._watch.judged(
            self._name(), f"confirmed: {label(Origin(**held.detail['origin']))}", evaluation
        )

    def _start(self) -> Node | None:
        """The first root that passed: what the search began with."""
        return next((n for n in self._tree if n.is_root and n.reward is not None), None)

    def _outcome(self, reason: str) -> Outcome:
        pool = [n for n in self._tree if n.reward and n.id in self._confirmed] or list(self._tree)
        passed = [n for n in pool if n.reward is not None]
        best = max(passed, key=lambda n: (n.reward or 0.0, -n.id), default=None)
        start = self._start()
        seats = self._roster.seats
        broken = [s.out for s in seats if s.out and s.broken]
        return Outcome(
            run_id=self._journal.run_id,
            best=self._attempts[best.id] if best else None,
            start=self._attempts[start.id] if start else None,
            state=self._state(),
            reason=reason,
            broken="; ".join(broken) if len(broken) == len(seats) else None,
        )

    def _state(self) -> State:
        best = self._tree.best()
        return State(
            name=self._name(),
            evaluations=self._budget.evaluations - len(self._tree.in_flight()),
            limits=self._budget.limits,
            spent=self._budget.spent,
            elapsed_s=self._elapsed_s(),
            statuses=dict(self._statuses),
            best=self._attempts[best.id].evaluation if best else None,
            depth=self._tree.depth(),
        )

    def _tell(self) -> None:
        self._watch.changed(self._state())

    def _elapsed_s(self) -> float:
        return self._budget.elapsed_s(self._clock())

    def _name(self) -> str:
        return f"{self._task.op.name} {self._task.dtype}"


def _invalid(task: Task, text: str, found: Malformed) -> Evaluation:
    """The evaluation of a reply without a usable kernel."""
    return Evaluation(
        kernel_hash=text_hash(text),
        op=task.op.name,
        dtype=task.dtype,
        device_id=task.device.id,
        status=Status.INVALID,
        diagnostics=(Diagnostic(stage="parse", message=found.reason, line=found.line),),
        seed=task.seed,
    )
