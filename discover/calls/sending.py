"""LLM calls of a search: reserve, write down, send, settle, and wait before sending again.

One request may take several calls; each is a row of the ledger before it is sent, and each is
paid from the budget. Waiting blocks nothing: `due` says whose time has come.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from discover.budget.limits import Budget, Spend
from discover.budget.pricing import at_most, spend
from discover.calls.flights import Flights
from discover.calls.retry import RetryPolicy, delay_s
from discover.calls.roster import Seat
from discover.drafts.draft import Draft
from discover.history.journal import Journal
from discover.protocol import Failure, FailureKind, Reply, Request
from discover.selection.tree import Node
from foundry.store.records import Origin, Tokens


@dataclass(frozen=True)
class Errand:
    """A request on its way to an answer."""

    node: Node
    seat: Seat
    request: Request
    attempt: int = 1
    call_id: int = 0
    most: Spend = Spend()


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
        clock: Callable[[], float],
        rng: random.Random,
        say: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._budget = budget
        self._flights = flights
        self._policy = policy
        self._limit_s = limit_s
        self._clock = clock
        self._rng = rng
        self._say = say
        self._flying: dict[int, Errand] = {}
        self._waiting: list[tuple[float, int]] = []
        self._later: dict[int, Errand] = {}

    def __len__(self) -> int:
        """Errands that wait for their next attempt."""
        return len(self._later)

    def refused(self, seat: Seat, request: Request) -> str | None:
        """Why the budget has no room for a request, or None."""
        return self._budget.refuses(at_most(seat.price, request))

    def send(self, errand: Errand) -> None:
        """Write a call down and send it."""
        most = at_most(errand.seat.price, errand.request)
        call_id = self._journal.calling(errand.node, errand.request, most)
        self._budget.reserve(call_id, most)
        node, seat, request = errand.node, errand.seat, errand.request
        self._flying[node.id] = Errand(node, seat, request, errand.attempt, call_id, most)
        left_s = self._budget.remaining_s(self._clock())
        limit_s = self._limit_s if left_s is None else max(0.1, min(self._limit_s, left_s))
        self._flights.start(("call", node.id), lambda: seat.proposer.send(request, limit_s))

    def landed(self, node_id: int, result: Reply | Failure) -> Draft | Failure | None:
        """What came of a call: a draft, a failure for good, or None when it is sent again later."""
        errand = self._flying.pop(node_id)
        if isinstance(result, Reply):
            return self._answered(errand, result)
        tokens, spent = _used(errand, result)
        self._budget.settle(errand.call_id, spent)
        self._journal.failed_call(errand.call_id, result, tokens, spent)
        wait_s = delay_s(self._policy, result, errand.attempt, self._rng.random())
        left_s = self._budget.remaining_s(self._clock())
        if wait_s is None:
            return self._given_up(errand, result)
        if left_s is not None and wait_s >= left_s:
            errand.seat.out = f"{errand.seat.title}: {result.message}; no time left to wait"
            return result
        due_s = self._clock() + wait_s
        self._later[node_id] = errand
        heapq.heappush(self._waiting, (due_s, node_id))
        errand.seat.rests_until_s = max(errand.seat.rests_until_s, due_s)
        self._say(_waiting_line(errand, result, wait_s, self._policy.attempts))
        return None

    def due(self) -> list[tuple[Node, Failure]]:
        """Send what has waited long enough; what the budget no longer allows is returned."""
        refused = []
        while self._waiting and self._waiting[0][0] <= self._clock():
            _, node_id = heapq.heappop(self._waiting)
            errand = self._later.pop(node_id, None)
            if errand is None:
                continue
            if reason := self.refused(errand.seat, errand.request):
                refused.append((errand.node, Failure(FailureKind.FINISHED, reason)))
                continue
            again = errand.attempt + 1
            self.send(Errand(errand.node, errand.seat, errand.request, again))
        return refused

    def next_due_s(self) -> float | None:
        """Seconds until the next errand is due."""
        return max(0.0, self._waiting[0][0] - self._clock()) if self._waiting else None

    def stop(self, *, flying: bool) -> list[tuple[Node, Failure]]:
        """Give up whatever waits, and with `flying` also what was sent."""
        ended = [
            (e.node, Failure(FailureKind.TIMEOUT, "out of time")) for e in self._later.values()
        ]
        self._later.clear()
        self._waiting.clear()
        for errand in list(self._flying.values()) if flying else ():
            self._flights.abandon(("call", errand.node.id))
            failure = Failure(FailureKind.TIMEOUT, "out of time", maybe_billed=True)
            del self._flying[errand.node.id]
            tokens, spent = _used(errand, failure)
            self._budget.settle(errand.call_id, spent)
            self._journal.failed_call(errand.call_id, failure, tokens, spent)
            ended.append((errand.node, failure))
        return ended

    def _answered(self, errand: Errand, reply: Reply) -> Draft:
        spent = spend(errand.seat.price, reply.tokens)
        self._budget.settle(errand.call_id, spent)
        errand.seat.answered()
        detail = {**reply.detail, "label": errand.seat.title, "call": errand.call_id}
        draft = Draft(reply.text, Origin("proposer", errand.seat.proposer.name, detail))
        self._journal.answered(errand.node, errand.call_id, reply, spent, draft)
        return draft

    def _given_up(self, errand: Errand, failure: Failure) -> Failure:
        errand.seat.gave_up(failure)
        self._say(f"{errand.seat.title}: {failure.message}; given up")
        return failure


def _used(errand: Errand, failure: Failure) -> tuple[Tokens, Spend]:
    """What a failed call cost; at most, where nobody knows."""
    if failure.tokens is not None:
        return failure.tokens, spend(errand.seat.price, failure.tokens)
    if not failure.maybe_billed:
        return Tokens(), Spend()
    output = min(errand.request.max_output_tokens, errand.most.tokens)
    return Tokens(errand.most.tokens - output, output, estimated=True), errand.most


def _waiting_line(errand: Errand, failure: Failure, wait_s: float, attempts: int) -> str:
    asked = failure.retry_after_s
    capped = f" (the server asked {asked:,.0f} s)" if asked and asked > wait_s else ""
    return (
        f"{errand.seat.title}: {failure.message}; again in {wait_s:.0f} s{capped}, "
        f"attempt {errand.attempt + 1} of {attempts}"
    )
