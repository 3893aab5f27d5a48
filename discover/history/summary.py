"""What came of a search, read from the database: for tables, reports and comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from discover.selection.tree import ROOT_PREFIX, NodeState
from foundry.judge.verdict import JUDGE_VERSION, Evaluation
from foundry.report.figures import Figures, figures
from foundry.report.predicted import MODEL, front, predicted_gain, predicted_times
from foundry.store.records import CallRecord, CallState, NodeRecord, RunRecord

if TYPE_CHECKING:
    from foundry.store import Store


@dataclass(frozen=True)
class Spending:
    """What the LLM calls of a search used."""

    calls: int = 0
    failed: int = 0
    lost: int = 0
    """Under way when the process died."""
    unpriced: int = 0
    """Answered by models whose price nobody knows; their dollars are in no sum."""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    """Known to be spent."""
    unsure_tokens: int = 0
    unsure_usd: float = 0.0
    """What calls without an answer, lost ones included, cost at most."""

    @property
    def usd_at_most(self) -> float:
        """Spent, and what may have been."""
        return self.usd + self.unsure_usd

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        tokens = self.input_tokens + self.output_tokens + self.unsure_tokens
        return {**vars(self), "tokens_at_most": tokens, "usd_at_most": self.usd_at_most}

    def __add__(self, other: Spending) -> Spending:
        return Spending(*(getattr(self, f) + getattr(other, f) for f in _SPENDING))


_SPENDING = tuple(Spending.__dataclass_fields__)


@dataclass(frozen=True)
class Found:
    """A kernel of a search that passed, and what is known of it today."""

    node: NodeRecord
    evaluation: Evaluation


@dataclass(frozen=True)
class Summary:
    """One search."""

    run: RunRecord
    op: str
    dtype: str
    proposers: tuple[str, ...]
    nodes: tuple[NodeRecord, ...]
    evaluations: int
    """Judged by this search, second looks included."""
    statuses: Mapping[str, int]
    """Of its kernels, those found in the database included."""
    best: Found | None
    start: Found | None
    """The best kernel that the search began with."""
    spending: Spending
    elapsed_s: float
    front: tuple[Found, ...] = ()
    """Of a search for a chip that is not here: the kernel that is predicted to be fastest and all
    that cannot be told from it, in no order. `best` and `start` are measured: there are none.
    """

    @property
    def outdated(self) -> str:
        """What is to be said where an earlier version of the judge found all this."""
        version = self.run.judge_version
        if version == JUDGE_VERSION:
            return ""
        anew = "the same command searches anew"
        if self.best is not None:
            anew = (
                f"its best is judged anew by discover export {self.run.id} --what best -o FILE, "
                f"then discover search {self.op} --from FILE"
            )
        said = f"run {self.run.id} was judged by version {version} of the judge"
        return f"{said}, and this is {JUDGE_VERSION}; {anew}"

    @property
    def gain(self) -> tuple[float, float, float] | None:
        """Speedup of the best over the start, with the widest interval both measurements allow."""
        if self.best is None or self.start is None:
            return None
        best, start = figures(self.best.evaluation), figures(self.start.evaluation)
        if best is None or start is None:
            return None
        return over(best, start)


def over(best: Figures, start: Figures) -> tuple[float, float, float]:
    """Speedup of one kernel over another from their speedups over the same baseline."""
    return (
        best.speedup / start.speedup,
        best.speedup_low / start.speedup_high,
        best.speedup_high / start.speedup_low,
    )


def summarise(store: Store, run: RunRecord) -> Summary:
    """Read one search back."""
    nodes = tuple(store.nodes(run.id))
    dtype = str(run.settings["dtype"])
    evaluations = _evaluations(store, run, nodes, dtype)
    found = [
        Found(node, evaluation)
        for node in nodes
        if (evaluation := evaluations.get(node.id)) is not None and evaluation.status.passed
    ]
    timed = [f for f in found if f.evaluation.score is not None]
    kept = {one.kernel_hash for one in front(f.evaluation for f in found)}
    return Summary(
        run=run,
        op=str(run.settings["op"]),
        dtype=dtype,
        proposers=tuple(run.settings.get("proposers", ())),
        nodes=nodes,
        evaluations=run.evaluations,
        statuses=Counter(str(e.status) for e in evaluations.values()),
        best=max(timed, key=_rank, default=None),
        start=max((f for f in timed if _is_root(f.node)), key=_rank, default=None),
        spending=spending(store.calls(run.id)),
        elapsed_s=max((n.detail.get("elapsed_s", 0.0) for n in nodes), default=0.0),
        front=tuple(_distinct(f for f in found if f.evaluation.kernel_hash in kept)),
    )


def _distinct(found: Iterable[Found]) -> list[Found]:
    """One of each kernel, in the order of their hashes."""
    by_hash = {one.evaluation.kernel_hash: one for one in found}
    return [one for _, one in sorted(by_hash.items())]


def searches(store: Store, *, part_of: str | None = None) -> list[RunRecord]:
    """Runs that searched, oldest first; those of one autorun when it is named."""
    return [
        run
        for run in store.runs()
        if run.kind == "search" and part_of in (None, run.settings.get("part_of"))
    ]


def spending(calls: Iterable[CallRecord]) -> Spending:
    """What calls used, and what those without an answer used at most."""
    return sum((_spending(call) for call in calls), Spending())


def _spending(call: CallRecord) -> Spending:
    unsure = call.state in (CallState.LOST, CallState.UNSURE)
    return Spending(
        calls=1,
        failed=int(call.state in (CallState.FAILED, CallState.UNSURE)),
        lost=int(call.state is CallState.LOST),
        unpriced=int(call.state is CallState.DONE and call.cost_usd is None),
        input_tokens=call.tokens.input_tokens,
        output_tokens=call.tokens.output_tokens,
        usd=call.cost_usd or 0.0,
        unsure_tokens=(call.most_tokens or 0) if unsure else 0,
        unsure_usd=(call.most_usd or 0.0) if unsure else 0.0,
    )


def document(summary: Summary) -> dict[str, Any]:
    """For `--json`."""
    gain = summary.gain
    return {
        "run_id": summary.run.id,
        "op": summary.op,
        "dtype": summary.dtype,
        "proposers": list(summary.proposers),
        "outcome": summary.run.outcome,
        "judge_version": summary.run.judge_version,
        "device": {
            "id": summary.run.device.id,
            "kind": summary.run.device.kind,
            "name": summary.run.device.name,
        },
        "seed": summary.run.seed,
        "evaluations": summary.evaluations,
        "statuses": dict(summary.statuses),
        **_predicted_document(summary),
        "start": _found_document(summary.start),
        "best": _found_document(summary.best),
        "gain_over_start": dict(zip(("speedup", "low", "high"), gain, strict=True))
        if gain
        else None,
        "llm": summary.spending.document(),
        "elapsed_s": summary.elapsed_s,
    }


def origin_label(node: NodeRecord) -> str:
    """Where a node's kernel came from, in a few words."""
    origin = node.detail.get("origin")
    if not origin:
        return node.proposer
    label = origin["detail"].get("label", "")
    return f"{origin['name']}: {label}" if label and label != origin["name"] else origin["name"]


def _evaluations(
    store: Store, run: RunRecord, nodes: Sequence[NodeRecord], dtype: str
) -> dict[int, Evaluation]:
    """By node, what is known of its kernel today; else what the run itself found then."""
    judged = {n.id: n.kernel_hash for n in nodes if n.state == NodeState.JUDGED and n.kernel_hash}
    found = {
        node_id: store.find_evaluation(kernel_hash, run.device.id, dtype)
        for node_id, kernel_hash in judged.items()
    }
    then: dict[str, Evaluation] = {}
    if None in found.values():
        own = store.evaluations(run_id=run.id)
        then = {stored.evaluation.kernel_hash: stored.evaluation for stored in own}
    known = {node_id: found[node_id] or then.get(judged[node_id]) for node_id in judged}
    return {node_id: one for node_id, one in known.items() if one is not None}


def _is_root(node: NodeRecord) -> bool:
    return node.proposer.startswith(ROOT_PREFIX)


def _rank(found: Found) -> tuple[bool, float, int]:
    """Kernels that were measured twice come first: the best of many single draws is mostly luck."""
    confirmed = bool(found.node.detail.get("confirmed"))
    return confirmed, found.node.reward or 0.0, -found.node.id


def _predicted_document(summary: Summary) -> dict[str, Any]:
    """The kernels that are not told apart; nothing of a search that measured."""
    if summary.run.device.kind != MODEL:
        return {}
    return {
        "predicted": [
            {
                "kind": "prediction",
                "kernel_hash": one.evaluation.kernel_hash,
                "from": origin_label(one.node),
                "gain_over_best_template": predicted_gain(one.evaluation),
                "times": [asdict(time) for time in predicted_times(one.evaluation)],
            }
            for one in summary.front
        ]
    }


def _found_document(found: Found | None) -> dict[str, Any] | None:
    if found is None:
        return None
    samples = {"samples_baseline_us", "samples_kernel_us"}
    return {
        "kernel_hash": found.evaluation.kernel_hash,
        "status": str(found.evaluation.status),
        "score": found.evaluation.score,
        "from": origin_label(found.node),
        "timings": [t.model_dump(mode="json", exclude=samples) for t in found.evaluation.timings],
    }
