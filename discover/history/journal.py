"""What of a search is kept, and how a killed one comes back.

Every method is one transaction of the store. The order makes a kill harmless at any point:

1. A node is stored `open` before anything is done for it; with its text, once that is known.
2. A call is stored, together with its node, before it is sent. Found without an answer at the next
   start, it is money possibly spent: its upper bound is kept apart from what was spent, and it is
   sent once more.
3. The answer of a call and what it proposed are stored together; so are an evaluation and the
   node's end. An open node with a text is judged again, one without is asked for again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from discover.budget.limits import Spend
from discover.drafts.draft import Draft
from discover.history.lessons import lesson_of
from discover.protocol import Failure, Reply, Request
from discover.selection.tree import Node, NodeState
from foundry.judge.verdict import Evaluation
from foundry.kernel import Kernel
from foundry.program import Device
from foundry.prompts.assignment import Attempt
from foundry.store import lessons
from foundry.store.records import CallRecord, CallState, Lesson, Origin, Tokens
from foundry.store.records import NodeRecord as StoredNode
from ops.spec import Op

if TYPE_CHECKING:
    from foundry.store import Store


LESSONS = 4
"""Those that one prompt holds at most."""
_NO_WORD = (CallState.LOST, CallState.UNSURE)
"""Calls that may have been billed. A refused one was not, and says nothing against its request."""


@dataclass(frozen=True)
class Pending:
    """An open node of an earlier session."""

    node: Node
    draft: Draft | None = None
    """What it proposed, when that is known: judge it."""
    call: CallRecord | None = None
    """Its latest call, when no answer is known: send it again."""
    lost: int = 0
    """How often its request was sent without a word on what became of it."""


@dataclass(frozen=True)
class Restored:
    """Everything an earlier session left."""

    nodes: tuple[Node, ...] = ()
    attempts: Mapping[int, Attempt] = field(default_factory=dict)
    """Judged kernels by node."""
    pending: tuple[Pending, ...] = ()
    turns: Mapping[str, int] = field(default_factory=dict)
    spent: Spend = Spend()
    unsure: Spend = Spend()
    """What calls without an answer cost at most."""
    evaluations: int = 0
    elapsed_s: float = 0.0
    siblings: frozenset[int] = frozenset()
    """Nodes of further kernels of an answer: no expansions of their own."""
    looks: Mapping[int, int] = field(default_factory=dict)
    """Second looks, and third ones of rivals, by node; those without are left out."""
    repeats: Mapping[int, int] = field(default_factory=dict)
    """The node that had a kernel first, by the node that repeats it."""
    answered: tuple[CallRecord, ...] = ()
    """Calls that were answered."""

    @property
    def timed(self) -> int:
        """Kernels that were timed: each had its chance to look fastest."""
        return sum(a.evaluation.score is not None for a in self.attempts.values())


class Journal:
    """The rows of one search."""

    def __init__(self, store: Store, run_id: int, device: Device, dtype: str) -> None:
        self._store = store
        self.run_id = run_id
        self._device = device
        self._dtype = dtype
        self._details: dict[int, dict[str, Any]] = {}

    def together(self) -> AbstractContextManager[None]:
        """Make everything in the block one transaction."""
        return self._store.transaction()

    def known(self, kernel: Kernel) -> Evaluation | None:
        """What this device's database knows of a kernel."""
        return self._store.find_evaluation(kernel.hash, self._device.id, self._dtype)

    def opened(self, node: Node, draft: Draft | None = None, **facts: Any) -> None:
        """Keep an open node, with what it proposes where that is known."""
        self._save(node, **_draft(draft), **facts)

    def also(self, node: Node, draft: Draft, first: Node) -> None:
        """Keep an open node for a further kernel of an answer; its author heard the same.

        Args:
            node: Of this kernel.
            draft: What it proposes.
            first: The node that the answer was asked for.
        """
        heard = {k: v for k, v in self._details.get(first.id, {}).items() if k == "lessons"}
        self.opened(node, draft, sibling_of=first.id, **heard)

    def heard(self, node: Node, lessons: Sequence[Lesson]) -> None:
        """Keep an open node whose author was told these lessons."""
        self._save(node, **_told(lessons))

    def lessons(self, op: Op) -> tuple[Lesson, ...]:
        """What made kernels of this family faster on this device, the best first."""
        return tuple(lessons.relevant(self._store, op.name, op.family, self._device, LESSONS))

    def learnt(self, op: Op, slower: Attempt, faster: Attempt) -> bool:
        """Keep what a faster kernel teaches; whether it teaches anything."""
        found = lesson_of(slower, faster)
        if found is None:
            return False
        pair = slower.evaluation.kernel_hash, faster.evaluation.kernel_hash
        lesson = Lesson(op.name, *found)
        lessons.keep(self._store, self.run_id, op.family, self._device, lesson, pair)
        return True

    def credit(self, node: Node, *, paid: bool) -> None:
        """Tell the lessons that a node's author heard whether they paid."""
        if shown := self._details.get(node.id, {}).get("lessons"):
            lessons.credit(self._store, shown, paid=paid)

    def calling(
        self, node: Node, request: Request, most: Spend, heard: Sequence[Lesson] = ()
    ) -> int:
        """Keep a call before it is sent. Returns its id."""
        with self._store.transaction():
            call_id = self._store.begin_call(
                self.run_id,
                request.proposer,
                request.model or "",
                request.hash,
                {"body": dict(request.body), "max_output_tokens": request.max_output_tokens},
                most_tokens=most.tokens,
                most_usd=most.usd,
            )
            calls = [*self._details.get(node.id, {}).get("calls", []), call_id]
            self._save(node, calls=calls, **_told(heard))
        return call_id

    def answered(
        self, node: Node, call_id: int, reply: Reply, cost_usd: float | None, draft: Draft
    ) -> None:
        """Keep an answer and what it proposes."""
        with self._store.transaction():
            self._store.finish_call(
                call_id,
                state=CallState.DONE,
                response={"text": reply.text, "stop_reason": reply.stop_reason},
                tokens=reply.tokens,
                cost_usd=cost_usd,
                provider_request_id=reply.detail.get("request_id"),
            )
            self._save(node, **_draft(draft))

    def failed_call(
        self,
        call_id: int,
        failure: Failure,
        tokens: Tokens,
        cost_usd: float | None,
        *,
        unsure: bool = False,
    ) -> None:
        """Keep why a call gave no answer, and what it cost all the same where that is known."""
        self._store.finish_call(
            call_id,
            state=CallState.UNSURE if unsure else CallState.FAILED,
            response={"text": failure.text} if failure.text else None,
            tokens=tokens,
            cost_usd=cost_usd,
            error=f"{failure.kind}: {failure.message}",
        )

    def judged(
        self,
        node: Node,
        draft: Draft,
        kernel: Kernel | None,
        evaluation: Evaluation,
        parent_hash: str | None,
        elapsed_s: float,
    ) -> None:
        """Keep an evaluation and the end of its node."""
        with self._store.transaction():
            self._store.save(self.run_id, kernel, draft.text, evaluation, draft.origin, parent_hash)
            self.closed(node, elapsed_s, draft, judged=True, status=str(evaluation.status))

    def closed(
        self, node: Node, elapsed_s: float, draft: Draft | None = None, **facts: Any
    ) -> None:
        """Keep the end of a node."""
        kept = {k: v for k, v in _draft(draft).items() if k != "text"}
        self._details.get(node.id, {}).pop("text", None)
        self._save(node, **kept, elapsed_s=round(elapsed_s, 3), **facts)

    def confirmed(
        self, node: Node, attempt: Attempt, kernel: Kernel, evaluation: Evaluation, elapsed_s: float
    ) -> None:
        """Keep the second look at a finalist, or a further one at a rival."""
        origin = _origin(attempt.detail.get("origin"))
        with self._store.transaction():
            self._store.save(self.run_id, kernel, attempt.text, evaluation, origin)
            looks = _looks(self._details.get(node.id, {})) + 1
            self._save(node, confirmed=looks, elapsed_s=round(elapsed_s, 3))

    def restore(self) -> Restored:
        """Read an earlier session back; calls of which no answer came are marked as lost."""
        self._store.lose_calls(self.run_id)
        calls = {call.id: call for call in self._store.calls(self.run_id)}
        rows = self._store.nodes(self.run_id)
        for row in rows:
            self._details[row.id] = dict(row.detail)
        nodes = tuple(_node(row) for row in rows)
        evaluations = {
            stored.evaluation.kernel_hash: stored.evaluation
            for stored in self._store.evaluations(run_id=self.run_id)
        }
        # Several kernels of one answer are one turn.
        siblings = frozenset(row.id for row in rows if "sibling_of" in row.detail)
        return Restored(
            nodes=nodes,
            attempts={
                node.id: self._attempt(node, evaluations)
                for node in nodes
                if node.state is NodeState.JUDGED
            },
            pending=tuple(
                self._pending(node, calls) for node in nodes if node.state is NodeState.OPEN
            ),
            turns=Counter(row.proposer for row in rows if row.id not in siblings),
            spent=sum((_spent(call) for call in calls.values()), Spend()),
            unsure=sum((_unsure(call) for call in calls.values()), Spend()),
            evaluations=sum(bool(row.detail.get("judged")) + _looks(row.detail) for row in rows),
            siblings=siblings,
            elapsed_s=max((row.detail.get("elapsed_s", 0.0) for row in rows), default=0.0),
            looks={row.id: looks for row in rows if (looks := _looks(row.detail))},
            repeats={
                row.id: first
                for row in rows
                if (first := row.detail.get("duplicate_of")) is not None
            },
            answered=tuple(call for call in calls.values() if call.state is CallState.DONE),
        )

    def _attempt(self, node: Node, evaluations: Mapping[str, Evaluation]) -> Attempt:
        kernel_hash = node.kernel_hash or ""
        found = evaluations.get(kernel_hash) or self._store.find_evaluation(
            kernel_hash, self._device.id, self._dtype
        )
        assert found is not None, f"node {node.id} is judged, but its evaluation is gone"
        detail = self._details[node.id]
        return attempt(self._store.kernel_text(kernel_hash), found, _origin(detail.get("origin")))

    def _pending(self, node: Node, calls: Mapping[int, CallRecord]) -> Pending:
        detail = self._details[node.id]
        sent = [calls[i] for i in detail.get("calls", [])]
        lost = sum(call.state in _NO_WORD for call in sent)
        if "text" in detail:
            return Pending(node, Draft(detail["text"], _origin(detail["origin"])), lost=lost)
        return Pending(node, call=sent[-1] if sent else None, lost=lost)

    def _save(self, node: Node, **facts: Any) -> None:
        detail = self._details.setdefault(node.id, {})
        detail.update(facts)
        self._store.save_node(
            self.run_id,
            StoredNode(
                id=node.id,
                parent=node.parent,
                proposer=node.proposer,
                state=str(node.state),
                kernel_hash=node.kernel_hash,
                reward=node.reward,
                visits=node.visits,
                detail={**detail, "repairable": node.repairable},
            ),
        )


def attempt(text: str, evaluation: Evaluation, origin: Origin) -> Attempt:
    """A judged kernel as proposers see it; templates and proposers leave the same kind of trace."""
    trace = dict(origin.detail)
    if origin.kind == "template":
        trace = {"template": origin.name, "knobs": dict(origin.detail.get("knobs", {}))}
    return Attempt(text, evaluation, {**trace, "origin": _stored_origin(origin)})


def _draft(draft: Draft | None) -> dict[str, Any]:
    if draft is None:
        return {}
    return {"text": draft.text, "origin": _stored_origin(draft.origin)}


def _looks(detail: Mapping[str, Any]) -> int:
    # Older databases hold only whether there was one.
    return int(detail.get("confirmed", 0))


def _told(lessons: Sequence[Lesson]) -> dict[str, Any]:
    return {"lessons": [lesson.id for lesson in lessons]} if lessons else {}


def _stored_origin(origin: Origin) -> dict[str, Any]:
    return {"kind": origin.kind, "name": origin.name, "detail": dict(origin.detail)}


def _origin(stored: Mapping[str, Any] | None) -> Origin:
    return Origin(**stored) if stored else Origin("proposer", "unknown")


def _node(row: StoredNode) -> Node:
    node = Node(row.id, row.parent, row.proposer, NodeState(row.state))
    return replace(
        node,
        kernel_hash=row.kernel_hash,
        reward=row.reward,
        repairable=bool(row.detail.get("repairable")),
    )


def _unsure(call: CallRecord) -> Spend:
    if call.state in _NO_WORD:
        return Spend(call.most_tokens or 0, call.most_usd or 0.0)
    return Spend()


def _spent(call: CallRecord) -> Spend:
    tokens = call.tokens.input_tokens + call.tokens.output_tokens
    return Spend(tokens, call.cost_usd or 0.0)
