"""Who is asked next, from which kernel, and with what request.

An expansion is opened, put to a proposer, and either sent on its way or taken back as if it had
never been. What does not fit the budget now waits for calls in flight; what does not fit at all is
asked for once more with a shorter answer, and only then is the proposer out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from discover.budget.limits import Budget, Fit
from discover.calls.roster import Roster
from discover.calls.seat import Seat
from discover.calls.sending import Calls, Errand
from discover.drafts.draft import Draft
from discover.protocol import Context, Failure, FailureKind, Reply, Request
from discover.search.intake import Intake
from discover.search.kernels import Kernels
from discover.search.task import Task
from discover.selection.tree import Node
from foundry.store.records import Origin


@dataclass(frozen=True)
class Expander:
    """Starts expansions of one search."""

    task: Task
    kernels: Kernels
    roster: Roster
    budget: Budget
    calls: Calls
    intake: Intake
    clock: Callable[[], float]
    busy: Callable[[], bool]
    """Whether anything is under way that may become a parent."""

    def start_one(self) -> bool:
        """Open one expansion for the proposer whose turn it is; False when nobody has any."""
        return any(self._expand(seat) for seat in self.roster.active(self.clock()))

    def _expand(self, seat: Seat) -> bool:
        """Open one expansion for a proposer; False when it has none to open now."""
        while seat.out is None:
            parent = self.kernels.parent(
                may_repair=seat.proposer.may_repair, exclude=seat.exhausted
            )
            if parent is None and self.busy():
                return False  # what is in flight may become a parent
            if parent is None and self.kernels.tree.best() is not None:
                seat.out = f"{seat.title} has made every move from every kernel"
                return False
            node = self.kernels.tree.open(parent.id if parent else None, seat.proposer.name)
            context = self.kernels.context(node, parent, seat.turns)
            context = replace(context, lessons=self.intake.lessons())
            request = self._request(seat, context)
            if isinstance(request, Request):
                self._go(seat, node, request, context)
                return True
            self.kernels.tree.withdraw(node.id)
            if request is None:
                return False
            self._nothing_from(seat, parent, request)
        return False

    def _request(self, seat: Seat, context: Context) -> Request | Failure | None:
        """What is asked, within the budget; None to wait for what is in flight."""
        wanted = seat.proposer.request(context)
        if isinstance(wanted, Failure) or not seat.proposer.remote:
            return wanted
        return self._affordable(seat, context, wanted)

    def _affordable(
        self, seat: Seat, context: Context, request: Request
    ) -> Request | Failure | None:
        """The request, a shorter one, or why none can be sent; None to wait for what is in flight.

        An answer may take all that is left once nothing in flight can give anything back.
        """
        if late := self.calls.too_late(seat):
            return Failure(FailureKind.UNAFFORDABLE, late)
        fit = self.calls.fit(seat, request)
        if fit is Fit.NOW:
            return request
        if self.calls.flying:
            return None
        longest = self.calls.longest_answer(seat, request)
        shorter = request
        if longest is not None:
            found = seat.proposer.request(replace(context, longest_answer=longest))
            shorter = found if isinstance(found, Request) else request
        if self.calls.fit(seat, shorter) is Fit.NOW:
            return shorter
        return Failure(FailureKind.UNAFFORDABLE, self.calls.refused(seat, request))

    def _go(self, seat: Seat, node: Node, request: Request, context: Context) -> None:
        """Send a request on its way."""
        seat.turns += 1
        if seat.proposer.may_repair:
            self.kernels.expanded(node)
        self.budget.evaluations += 1
        if seat.proposer.remote:
            self.calls.send(Errand(node, seat, request, lessons=context.lessons))
            return
        reply = seat.proposer.send(request, self.task.call_limit_s)
        if isinstance(reply, Reply):
            origin = Origin("proposer", seat.proposer.name, dict(reply.detail))
            self.intake.consider(node, Draft(reply.text, origin))
        else:
            self.intake.fail(node, reply.message)

    def _nothing_from(self, seat: Seat, parent: Node | None, failure: Failure) -> None:
        if failure.kind is FailureKind.EXHAUSTED and parent is not None:
            seat.exhausted.add(parent.id)
        else:
            seat.out = failure.message
            seat.unaffordable = failure.kind is FailureKind.UNAFFORDABLE
