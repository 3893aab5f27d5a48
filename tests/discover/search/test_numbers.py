"""What a night weighs: the coordinator's own time, and ten thousand calls through both SDKs."""

from __future__ import annotations

import random
import resource
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_llm import TOKENS, Answer, FakeLLM, error
from searching import Scripted, ScriptedJudge, SimulatedTime, Stage, scored
from toy import DEVICE, OP, failed, passed

from discover.budget.limits import Limits
from discover.calls.retry import RetryPolicy
from discover.drafts.draft import Draft
from discover.proposers.registry import make
from discover.protocol import FailureKind, Proposer, ProposerOptions
from discover.search.kernels import Kernels
from discover.search.settings import SearchSettings
from discover.search.task import Outcome, Task
from discover.selection.tree import Node
from foundry.judge.verdict import Evaluation, Status
from foundry.kernel import parse
from foundry.store.records import CallRecord, CallState, Origin, Tokens

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
    error(429, retry_after="2"),
    error(529),
    error(503),
    error(500),
    Answer("x", cut=True),
    Answer(raw="<html>portal</html>"),
    Answer(raw='{"id": "x", "content": [{"ty'),
    Answer(error_body=True),
    Answer("half", stop=None),
]
HOUR_S = 3600.0


class Night:
    """What a server answers on a simulated clock: a fault in five, and an hour's outage."""

    def __init__(self, clock: SimulatedTime, outage_after: int) -> None:
        self.turned_away = 0
        """Calls that came while it was down."""
        self._clock = clock
        self._outage_after = outage_after
        self._up_s: float | None = None
        self._answers = 0
        self._rng = random.Random(3)
        self._turn = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Answer:
        with self._turn:
            self._clock.now_s += 0.1
            if self._answers >= self._outage_after and self._up_s is None:
                self._up_s = self._clock.now_s + HOUR_S
            if self._up_s is not None and self._clock.now_s < self._up_s:
                self.turned_away += 1
                return error(503)
            if self._rng.random() < 0.2:
                return self._rng.choice(FAULTS)
            self._answers += 1
            kernel = scored(1 + self._answers / 99999, f" int n = {self._answers};")
            return Answer(f"```metal\n{kernel}```")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("answers", [500, 10_400])
@pytest.mark.parametrize("name", ["anthropic", "openai"])
def test_thousands_of_calls_a_fifth_of_them_faulty_and_an_outage(
    stage: Stage, name: str, answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, "sk-test")
    clock, in_flight, limit = SimulatedTime(), 64, answers * TOKENS
    night = Night(clock, answers // 2)
    with FakeLLM([], answering=night) as server:
        url = server.anthropic_url if name == "anthropic" else server.openai_url
        options = ProposerOptions(base_url=url, max_output_tokens=300)
        with closing(make(f"{name}:m", options)) as proposer:
            outcome = stage.search(
                [_scripted(proposer)], ScriptedJudge(), Limits(tokens=limit), roots=[ROOT],
                parallel=in_flight, clock=clock, retry=RetryPolicy(attempts=50),
            )  # fmt: skip
    assert outcome.broken is None
    assert outcome.by_budget
    calls = stage.store.calls(stage.run_id)
    states = Counter(call.state for call in calls)
    kinds = {(c.error or "").partition(":")[0] for c in calls} - {""}
    used = ledger_matches(calls, server, outcome)
    (away_s,) = outcome.away_s.values()
    print(
        f"\n{name}: {len(calls):,} calls, {states[CallState.DONE]:,} answers, "
        f"{server.billed_tokens:,} tokens; {used / limit:.2%} of the budget; away {away_s:,.0f} s; "
        f"{night.turned_away} calls met the outage; {', '.join(sorted(kinds))}"
    )
    assert len(calls) == len(server.requests) > 0.9 * answers
    assert kinds <= set(FailureKind), "an error without a kind"
    assert 0.95 * limit <= used <= limit
    assert away_s > HOUR_S
    assert night.turned_away < 2 * in_flight, "pauses grow"


def ledger_matches(calls: Sequence[CallRecord], server: FakeLLM, outcome: Outcome) -> int:
    """Hold the rows to what the server counted, token by token; what they take of the budget."""
    done = [c for c in calls if c.state is CallState.DONE]
    unsure = [c for c in calls if c.state is CallState.UNSURE]
    spent = sum(c.tokens.input_tokens + c.tokens.output_tokens for c in done)
    at_most = sum(c.most_tokens or 0 for c in unsure)
    assert not [c for c in calls if c.state in (CallState.SENT, CallState.LOST)]
    assert spent == server.billed_tokens == outcome.state.spent.tokens
    assert all(c.tokens == Tokens() for c in unsure), "what broke off is spent for nobody"
    assert at_most >= server.lost_tokens > 0
    assert outcome.state.at_most.tokens == spent + at_most
    return spent + at_most


def _scripted(proposer: Proposer) -> Scripted:
    return proposer  # type: ignore[return-value]
