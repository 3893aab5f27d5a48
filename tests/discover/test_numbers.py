"""What a night weighs: the coordinator's own time, and ten thousand calls through both SDKs."""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fake_llm import Answer, FakeLLM, error
from searching import Scripted, ScriptedJudge, Stage, scored
from toy import DEVICE, OP, failed, passed

from discover.budget.limits import Limits
from discover.calls.retry import RetryPolicy
from discover.drafts.draft import Draft
from discover.proposers.registry import make
from discover.protocol import FailureKind, Proposer, ProposerOptions
from discover.search.kernels import Kernels
from discover.search.settings import SearchSettings
from discover.search.task import Task
from discover.selection.tree import Node
from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import parse
from foundry.store.records import CallState, Origin, Tokens

ROOT = scored(1.0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


class Bookkeeping:
    """A search without its database: select, open, describe, take a verdict in."""

    def __init__(self) -> None:
        settings = SearchSettings(seed=1, confirm=0)
        self.kernels = Kernels(Task(OP, "float32", DEVICE, settings))
        self.rng = random.Random(1)
        self.kernel = parse(ROOT)
        self.seconds: list[float] = []
        self.end(self.kernels.tree.open(None, "root:template"), passed(1.0))

    def end(self, node: Node, evaluation: Evaluation) -> float:
        """Give a node its verdict; the processor time that the search itself takes for it."""
        draft = Draft(f"{ROOT}// {node.id}", Origin("proposer", "endless", {"label": "endless"}))
        begin = time.process_time()
        self.kernels.judged(node, draft, self.kernel, evaluation)
        return time.process_time() - begin

    def candidate(self) -> None:
        begin = time.process_time()
        parent = self.kernels.parent(may_repair=True, exclude=())
        assert parent is not None
        node = self.kernels.tree.open(parent.id, "endless")
        self.kernels.context(node, parent, node.id)
        self.kernels.tree.best(), self.kernels.tree.depth(), self.kernels.roots_open()
        asked = time.process_time() - begin
        fails = self.rng.random() < 0.3
        verdict = failed(Status.WRONG_RESULT) if fails else passed(self.rng.random() + 1)
        self.seconds.append(asked + self.end(node, verdict))

    def milliseconds(self, first: int, last: int) -> float:
        """Median of some candidates."""
        return statistics.median(self.seconds[first:last]) * 1000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bookkeeping_costs_the_same_at_20_000_nodes() -> None:
    many = 20_000
    search = Bookkeeping()
    for _ in range(many):
        search.candidate()
    early, late = search.milliseconds(100, 600), search.milliseconds(many - 500, many)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{early:.2f} ms a candidate at first, {late:.2f} at 20,000 nodes, {peak_mb:.0f} MB")
    assert late < 3.0
    assert peak_mb < 500


FAULTS = [
    error(429, retry_after="0.01"),
    error(529),
    error(503),
    error(500),
    Answer("x", cut=True),
    Answer(raw="<html>portal</html>"),
    Answer(raw='{"id": "x", "content": [{"ty'),
    Answer(error_body=True),
    Answer("half", stop=None),
]


def script(calls: int, wanted: int, seed: int) -> list[Answer]:
    """Answers with a fault in five, and an outage in the middle."""
    rng = random.Random(seed)
    found = []
    for number in range(calls):
        if wanted // 2 <= number < wanted // 2 + 100:
            found.append(error(503))
        elif rng.random() < 0.2:
            found.append(rng.choice(FAULTS))
        else:
            found.append(
                Answer(f"```metal\n{scored(1 + number / 99999, f' int n = {number};')}```")
            )
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("wanted", [400, 8_000])
@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_thousands_of_calls_a_fifth_of_them_faulty(
    stage: Stage, name: str, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, "sk-test")
    with FakeLLM(script(4 * wanted, wanted, seed=3)) as server:
        url = server.anthropic_url if name == "anthropic" else server.openai_url
        options = ProposerOptions(base_url=url, max_output_tokens=300)
        with closing(make(f"{name}:m", options)) as proposer:
            outcome = stage.search(
                [_impatient(proposer)], ScriptedJudge(), Limits(evaluations=wanted), roots=[ROOT],
                parallel=64, retry=RetryPolicy(attempts=50, first_s=0.001, longest_s=0.05),
            )  # fmt: skip
        received = len(server.requests)
    calls = stage.store.calls(stage.run_id)
    assert outcome.broken is None
    assert outcome.state.evaluations == wanted
    assert len(calls) == received >= 1.2 * wanted
    states = {state: [c for c in calls if c.state is state] for state in CallState}
    assert not states[CallState.SENT] + states[CallState.LOST]
    done = states[CallState.DONE]
    spent = sum(c.tokens.input_tokens + c.tokens.output_tokens for c in done)
    assert spent == server.billed_tokens == outcome.state.spent.tokens
    assert all(c.tokens == Tokens() for c in states[CallState.UNSURE])
    at_most = sum(c.most_tokens or 0 for c in states[CallState.UNSURE])
    assert at_most >= server.lost_tokens > 0, "what broke off was billed for nobody"
    kinds = {(c.error or "").partition(":")[0] for c in calls} - {""}
    assert kinds <= set(FailureKind), "an error without a kind"
    print(f"\n{len(calls)} calls, {len(done)} answers, {spent:,} tokens; {sorted(kinds)}")


def _impatient(proposer: Proposer) -> Scripted:
    return proposer  # type: ignore[return-value]
