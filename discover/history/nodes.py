"""One node of a search with everything that is known of it: for `show`, pages and servers."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discover.history.reasons import reason
from discover.history.shown import shown
from discover.history.summary import Summary, origin_label
from discover.selection.tree import NodeState
from foundry.judge.verdict import Evaluation
from foundry.report.figures import figures
from foundry.store.records import CallRecord, CallState, NodeRecord

if TYPE_CHECKING:
    from foundry.store import Store


@dataclass(frozen=True)
class Seen:
    """A node, its kernel, its verdict, and what was asked and answered."""

    node: NodeRecord
    label: str
    evaluation: Evaluation | None = None
    text: str = ""
    parent_text: str = ""
    calls: tuple[CallRecord, ...] = ()

    @property
    def kernel_us(self) -> float | None:
        """Time of the kernel, geometric mean of the workloads."""
        found = figures(self.evaluation) if self.evaluation else None
        return found.kernel_us if found else None

    @property
    def why(self) -> str:
        """What decided, in one sentence."""
        detail = self.node.detail
        if self.evaluation is not None:
            return reason(self.evaluation)
        if "duplicate_of" in detail:
            return f"the same kernel as node {detail['duplicate_of']}"
        return str(detail.get("why", ""))

    @property
    def status(self) -> str:
        """The verdict, or what else became of the node."""
        return str(self.evaluation.status) if self.evaluation else self.node.state

    @property
    def words(self) -> str:
        """What its author said of it."""
        origin = self.node.detail.get("origin") or {}
        return str(origin.get("detail", {}).get("words", ""))

    @property
    def diff(self) -> str:
        """The kernel against its parent, as a unified diff."""
        return diff(self.parent_text, self.text) if self.parent_text and self.text else ""

    @property
    def answer(self) -> str:
        """The whole reply that it came in."""
        done = [call for call in self.calls if call.state is CallState.DONE]
        return str(done[-1].response.get("text", "")) if done and done[-1].response else ""

    @property
    def prompt(self) -> str:
        """What was asked, as text."""
        return _prompt(self.calls[-1].request.get("body", {})) if self.calls else ""

    def document(self) -> dict[str, Any]:
        """As JSON values; the verdict as a proposer may see it."""
        return {
            "node": self.node.id,
            "parent": self.node.parent,
            "proposer": self.node.proposer,
            "from": self.label,
            "status": self.status,
            "why": self.why,
            "words": self.words,
            "kernel_hash": self.node.kernel_hash,
            "kernel_us": self.kernel_us,
            "reward": self.node.reward,
            "kernel": self.text or None,
            "diff": self.diff or None,
            "prompt": self.prompt or None,
            "answer": self.answer or None,
            "evaluation": shown(self.evaluation) if self.evaluation else None,
        }


def diff(before: str, after: str) -> str:
    """A unified diff of two texts."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "parent", "kernel", lineterm="", n=2
    )
    return "\n".join(lines)


def look(store: Store, summary: Summary) -> Iterator[Seen]:
    """Every node of a search, by id; texts are read once."""
    calls = {call.id: call for call in store.calls(summary.run.id)}
    texts: dict[str, str] = {}

    def text_of(kernel_hash: str) -> str:
        if kernel_hash not in texts:
            texts[kernel_hash] = store.kernel_text(kernel_hash)
        return texts[kernel_hash]

    hashes = {node.id: node.kernel_hash for node in summary.nodes if _has_text(node)}
    verdicts = verdicts_of(store, summary)
    for node in summary.nodes:
        own, above = hashes.get(node.id), hashes.get(-1 if node.parent is None else node.parent)
        yield Seen(
            node,
            origin_label(node),
            verdicts.get(node.kernel_hash or "") if _has_text(node) else None,
            text_of(own) if own else "",
            text_of(above) if above else "",
            tuple(calls[i] for i in node.detail.get("calls", ()) if i in calls),
        )


def verdicts_of(store: Store, summary: Summary) -> Mapping[str, Evaluation]:
    """The latest verdict of a search on each of its kernels."""
    # What the search itself found is read page by page; only what it had from earlier ones singly.
    own = store.evaluations(run_id=summary.run.id)
    found = {stored.evaluation.kernel_hash: stored.evaluation for stored in own}
    for node in summary.nodes:
        if _has_text(node) and node.kernel_hash and node.kernel_hash not in found:
            verdict = store.find_evaluation(node.kernel_hash, summary.run.device.id, summary.dtype)
            if verdict is not None:
                found[node.kernel_hash] = verdict
    return found


def _has_text(node: NodeRecord) -> bool:
    return node.state == NodeState.JUDGED and node.kernel_hash is not None


def _prompt(body: Any) -> str:
    """The texts of a request, in order."""
    match body:
        case str():
            return body
        case Mapping():
            skipped = ("model", "type", "role", "cache_control")
            return "\n\n".join(
                filter(None, (_prompt(v) for k, v in body.items() if k not in skipped))
            )
        case list() | tuple():
            return "\n\n".join(filter(None, map(_prompt, body)))
    return ""
