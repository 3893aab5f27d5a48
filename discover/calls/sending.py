"""LLM calls of a search: reserve, write down, send, settle, and wait before sending again.

One request may take several calls; each is a row of the ledger before it is sent, and each is
paid from the budget. A call whose answer is lost may have been billed: what it may have cost at
most stays reserved and is never called spent. Waiting blocks nothing, and no outage ends it: a
request that a server does not take waits until the server is back, for as long as time is left.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from discover.budget.limits import Budget, Fit, Spend
from discover.budget.pricing import at_most, output_room, size_bytes, spend
from discover.calls.flights import Flights
from discover.calls.retry import RetryPolicy
from discover.calls.seat import Seat
from discover.drafts.draft import Draft
from discover.history.journal import Journal
from discover.history.lessons import words_of
from discover.proposers.keys import without_secrets
from discover.protocol import Failure, FailureKind, Reply, Request
from discover.selection.tree import Node
from foundry.report.format import duration
from foundry.store.records import Lesson, Origin, Tokens

SHORTEST_ANSWER = 256
"""Tokens below which no answer is asked for: that is no room for a kernel."""
_REST_SHARE = 0.25
"""Of the time left, the longest pause: who comes back near the end is still asked."""
_MOMENT_S = 2.0
"""For which a late call is still waited for."""
_FIRST_SHARE = 0.1
"""Of the whole time: what the first answer is taken to need at most."""


@dataclass(frozen=True)
class Errand:
    """A request on its way to an answer."""

    node: Node
    seat: Seat
    request: Request
    attempt: int = 1
    call_id: int = 0
    most: Spend = Spend()
    sent_s: float = 0.0
    lessons: tuple[Lesson, ...] = ()


class Calls:
    """Sends errands and turns what comes back into drafts, further attempts or failures."""

    def __init__(
        self,
        journal: Journal,
        budget: Budget,
        flights: Flights[tuple[str, int]],
        policy: RetryPolicy,
        *,
        limit_s: float,
        grace_s: float,
        clock: Callable[[], float],
        rng: random.Random,
        say: Callable[[str], None],
        split: Callable[[Node, Draft], list[tuple[Node, Draft]]],
    ) -> None:
        self._journal = journal
        self._budget = budget
        self._flights = flights
        self._policy = policy
        self._limit_s = limit_s
        self._grace_s = grace_s
        self._clock = clock
        self._rng = rng
        self._say = say
        self._split = split
        self._flying: dict[int, Errand] = {}
        self._waiting: dict[int, Errand] = {}
        self._late: dict[int, float] = {}
        """When calls were first seen to be late."""

    def __len__(self) -> int:
        """Errands that wait for their next attempt."""
        return len(self._waiting)

    @property
    def flying(self) -> int:
        """Calls under way."""
        return len(self._flying)

    def fit(self, seat: Seat, request: Request) -> Fit:
        """Whether the budget has room for a request, now or once others have ended."""
        return self._budget.fit(_most(seat, request))

    def refused(self, seat: Seat, request: Request) -> str:
        """Why the budget has no room for a request, and which answers it had room for."""
        reason = self._budget.refuses(_most(seat, request)) or "over budget"
        room = output_room(seat.price, seat.input_bound(size_bytes(request)), *self._budget.left())
        if seat.usual_output is not None or room is None or room < SHORTEST_ANSWER:
            return reason
        return f"{reason}, but one with --max-output-tokens {room} fits"

    def longest_answer(self, seat: Seat, request: Request) -> int | None:
        """Tokens of an answer for which there is room, where its usual answers fit in it."""
        room = output_room(seat.price, seat.input_bound(size_bytes(request)), *self._budget.left())
        needed = max(SHORTEST_ANSWER, seat.usual_output or request.max_output_tokens)
        return room if room is not None and room >= needed else None

    def too_late(self, seat: Seat) -> str | None:
        """Why an answer would come after the end, or None."""
        left_s, limit_s = self._budget.working_s(self._clock()), self._budget.limits.seconds
        if left_s is None or limit_s is None:
            return None
        needed_s = seat.expected_s
        if not seat.knows_its_time:
            needed_s = min(needed_s, _FIRST_SHARE * limit_s)
        if left_s >= needed_s:
            return None
        return f"time: {left_s:.0f} s left, an answer of {seat.title} takes {needed_s:.0f} s"

    def send(self, errand: Errand) -> None:
        """Write a call down and send it."""
        node, seat, request = errand.node, errand.seat, errand.request
        most = _most(seat, request)
        call_id = self._journal.calling(node, request, most, errand.lessons)
        self._budget.reserve(call_id, most)
        now_s = self._clock()
        if seat.absence.since_s is not None or seat.parked:
            seat.probing = True
        self._flying[node.id] = replace(errand, call_id=call_id, most=most, sent_s=now_s)
        left_s = self._budget.remaining_s(now_s)
        limit_s = self._limit_s if left_s is None else min(self._limit_s, left_s + self._grace_s)
        self._flights.start(("call", node.id), lambda: seat.proposer.send(request, limit_s))

    def queue(self, errand: Errand) -> None:
        """Send a request as soon as seat and budget allow it."""
        self._waiting[errand.node.id] = errand

    def landed(
        self, node_id: int, result: Reply | Failure
    ) -> list[tuple[Node, Draft]] | Failure | None:
        """What came of a call: drafts, a failure for good, or None when it is sent again later."""
        errand = self._flying.pop(node_id)
        errand.seat.probing = False
        # Some servers say the key that they refuse; it goes into no row and no page.
        if isinstance(result, Reply):
            return self._answered(errand, replace(result, text=without_secrets(result.text)))
        result = replace(
            result,
            message=without_secrets(result.message),
            text=without_secrets(result.text),
        )
        self._book(errand, result)
        if result.kind.retryable:
            return self._postponed(errand, result)
        if result.kind.fatal:
            errand.seat.faulted(result, self._clock(), self._policy.longest_s)
        else:
            errand.seat.failed(result)
        self._say(f"{errand.seat.title}: {result.message}; given up")
        return result

    def due(self) -> list[tuple[Node, Failure]]:
        """Send what has waited long enough; what can never be sent is returned."""
        refused = []
        for node_id, errand in list(self._waiting.items()):
            seat = errand.seat
            if seat.out is None and not seat.may_ask(self._clock()):
                continue
            fit = self.fit(seat, errand.request)
            reason = seat.out or self.too_late(seat)
            if reason is None and fit is Fit.LATER and self._flying:
                continue
            del self._waiting[node_id]
            if reason is None and fit is Fit.NOW:
                self.send(errand)
                continue
            why = reason or self.refused(seat, errand.request)
            refused.append((errand.node, Failure(FailureKind.FINISHED, why)))
        return refused

    def overdue(self) -> list[tuple[Node, Failure]]:
        """Give up calls that should have ended: a server may send a blank now and then for ever.

        Each is left a moment from when it was first seen to be late: after Ctrl-Z and `fg` all are,
        and their answers come in.

        Returns:
            What is not sent again.
        """
        most_s, now_s = self._limit_s + self._grace_s, self._clock()
        late = [node_id for node_id, e in self._flying.items() if now_s - e.sent_s > most_s]
        self._late = {node_id: self._late.get(node_id, now_s) for node_id in late}
        given_up = []
        for node_id in [n for n, since_s in self._late.items() if now_s - since_s >= _MOMENT_S]:
            node = self._flying[node_id].node
            self._flights.abandon(("call", node_id))
            words = f"no whole answer in {duration(most_s)}"
            found = self.landed(node_id, Failure(FailureKind.TIMEOUT, words, maybe_billed=True))
            if isinstance(found, Failure):
                given_up.append((node, found))
        return given_up

    def stop(self, *, flying: bool) -> list[tuple[Node, Failure]]:
        """Give up whatever waits, and with `flying` also what was sent."""
        ended = [
            (e.node, Failure(FailureKind.TIMEOUT, "out of time")) for e in self._waiting.values()
        ]
        self._waiting.clear()
        for errand in list(self._flying.values()) if flying else ():
            self._flights.abandon(("call", errand.node.id))
            failure = Failure(FailureKind.TIMEOUT, "out of time", maybe_billed=True)
            del self._flying[errand.node.id]
            self._book(errand, failure)
            ended.append((errand.node, failure))
        return ended

    def _answered(self, errand: Errand, reply: Reply) -> list[tuple[Node, Draft]]:
        """Keep an answer and every kernel in it, in one transaction."""
        spent, seat, now_s = spend(errand.seat.price, reply.tokens), errand.seat, self._clock()
        self._budget.settle(errand.call_id, spent)
        if (away_s := seat.absence.total_s(now_s)) and seat.absence.since_s is not None:
            self._say(f"{seat.title} is back; away for {duration(away_s)} in all")
        seat.answered(reply.tokens, size_bytes(errand.request), now_s - errand.sent_s, now_s)
        detail = {**reply.detail, "label": seat.title, "call": errand.call_id}
        if words := words_of(reply.text):
            detail["words"] = words
        whole = Draft(reply.text, Origin("proposer", seat.proposer.name, detail))
        cost_usd = spent.usd if seat.price else None
        with self._journal.together():
            (node, draft), *others = self._split(errand.node, whole)
            self._journal.answered(node, errand.call_id, reply, cost_usd, draft)
            for sibling, other in others:
                self._journal.also(sibling, other, node)
        return [(node, draft), *others]

    def _book(self, errand: Errand, failure: Failure) -> None:
        """Pay for a call that gave no answer: what it used where that is known."""
        if failure.tokens is None and failure.maybe_billed:
            self._budget.doubt(errand.call_id)
            self._journal.failed_call(errand.call_id, failure, Tokens(), None, unsure=True)
            return
        tokens = failure.tokens or Tokens()
        spent = spend(errand.seat.price, tokens)
        self._budget.settle(errand.call_id, spent)
        self._journal.failed_call(
            errand.call_id, failure, tokens, spent.usd if errand.seat.price else None
        )

    def _postponed(self, errand: Errand, failure: Failure) -> Failure | None:
        """Let the proposer rest; the request is sent again, unless it was tried often enough."""
        seat, now_s = errand.seat, self._clock()
        before = seat.absence.setbacks if seat.absence.since_s is not None else 0
        wait_s = seat.absence.setback(
            self._policy, failure, errand.sent_s, now_s, self._rng.random()
        )
        left_s = self._budget.remaining_s(now_s)
        if left_s is not None and failure.retry_after_s is None:
            wait_s = min(wait_s, max(_REST_SHARE * left_s, self._policy.first_s))
        seat.rests_until_s = max(seat.rests_until_s, now_s + wait_s)
        if left_s is not None and wait_s >= left_s:
            seat.out = f"{seat.title}: {failure.message}; no time left to wait"
            seat.unaffordable = True
            return failure
        # A server that is down takes no request; one that takes it and gives nothing may dislike
        # this very one, and may bill every attempt.
        if failure.kind.taken and errand.attempt >= self._policy.attempts:
            self._say(f"{seat.title}: {failure.message}; given up after {errand.attempt} attempts")
            return failure
        attempt = errand.attempt + int(failure.kind.taken)
        self.queue(Errand(errand.node, seat, errand.request, attempt))
        if seat.absence.setbacks > before:
            self._say(_waiting_line(seat, failure, wait_s))
        return None


def _most(seat: Seat, request: Request) -> Spend:
    """What a request may use at most."""
    inputs = seat.input_bound(size_bytes(request))
    return at_most(seat.price, inputs, request.max_output_tokens)


def _waiting_line(seat: Seat, failure: Failure, wait_s: float) -> str:
    asked = failure.retry_after_s
    capped = f" (the server asked {asked:,.0f} s)" if asked and asked > wait_s else ""
    return f"{seat.title} is away: {failure.message}; asked again in {wait_s:.0f} s{capped}"
