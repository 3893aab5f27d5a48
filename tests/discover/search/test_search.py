from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from searching import Scripted, ScriptedJudge, Stage, failing, scored

from discover.budget.limits import Limits
from discover.calls.retry import RetryPolicy
from discover.protocol import Context, Failure, FailureKind, Reply, Request
from discover.selection.tree import NodeState
from foundry.judge.options import NOBODY, Rivals
from foundry.judge.verdict import Status
from foundry.program import Device
from foundry.store.records import CallState, Tokens

ROOT = scored(1.0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


def fenced(text: str) -> str:
    return f"Here you are.\n```metal\n{text}```\n"


def test_every_reply_ends_as_a_row_with_its_reason(stage: Stage) -> None:
    llm = Scripted(
        [
            fenced(failing(Status.WRONG_RESULT)),
            fenced(failing(Status.BUILD_ERROR)),
            "I would rather not.",
            fenced(scored(2.5)),
            fenced(scored(2.5, " // the same again")),
        ]
    )
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=40), roots=[ROOT])
    assert outcome.best is not None
    assert outcome.best.evaluation.score == pytest.approx(2.5 * 0.95)
    assert list(stage.evaluations()) == [
        ("correct", ""),
        ("wrong_result", "it is wrong_result"),
        ("build_error", "it is build_error"),
        ("invalid", "the reply holds no kernel file: no line that says '/*kernel'"),
        ("faster", ""),
    ]
    states = [node.state for node in stage.store.nodes(stage.run_id)]
    assert states.count(NodeState.DUPLICATE) == 1
    calls = stage.store.calls(stage.run_id)
    assert [c.state for c in calls[:5]] == [CallState.DONE] * 5
    assert all(c.tokens == Tokens(200, 50) for c in calls[:5])
    assert calls[0].cost_usd == pytest.approx((200 * 10 + 50 * 50) / 1e6)
    assert calls[3].response["text"] == fenced(scored(2.5))


def test_the_proposer_hears_why_children_failed_and_repairs_them(stage: Stage) -> None:
    llm = Scripted([fenced(failing(Status.BUILD_ERROR)), fenced(scored(2)), fenced(scored(3))])
    stage.search([llm], ScriptedJudge(), Limits(evaluations=5), roots=[ROOT])
    second = llm.contexts[1]
    told = [*second.failures, second.parent]
    assert any(a and a.evaluation.why == "it is build_error" for a in told)
    unable = Scripted([fenced(failing(Status.BUILD_ERROR))] * 4)
    unable.may_repair = False
    stage.search([unable], ScriptedJudge(), Limits(evaluations=4), roots=[scored(1.1)])
    parents = [c.parent for c in unable.contexts]
    assert all(p and p.evaluation.status.passed for p in parents)


def test_evaluations_never_pass_their_limit(stage: Stage) -> None:
    judge = ScriptedJudge()
    llm = Scripted([fenced(scored(1 + i / 10, f" int a{i} = {i};")) for i in range(50)])
    outcome = stage.search(
        [llm], judge, Limits(evaluations=10), roots=[ROOT], parallel=4, confirm=2
    )
    assert len(judge.texts) == 10
    assert outcome.state.evaluations == 10
    assert outcome.reason == "evaluations: 10"
    # Two of the ten looked at finalists again.
    assert len(set(judge.texts)) == 8


def test_a_money_limit_holds_with_calls_in_flight(stage: Stage) -> None:
    def used_all() -> Reply:
        return Reply("no kernel", Tokens(550, 100))

    llm = Scripted([used_all] * 99)
    outcome = stage.search([llm], ScriptedJudge(), Limits(usd=0.05), roots=[ROOT], parallel=8)
    calls = stage.store.calls(stage.run_id)
    spent = sum(c.cost_usd or 0 for c in calls)
    assert 0.03 < spent <= 0.05
    assert outcome.state.spent.usd == pytest.approx(spent)
    assert "money: $" in outcome.reason


class _Wordy(Scripted):
    """Asks for long answers."""

    def request(self, context: Context) -> Request | Failure:
        asked = super().request(context)
        return replace(asked, max_output_tokens=5000) if isinstance(asked, Request) else asked


def test_who_asks_for_more_than_the_budget_has_is_told_what_fits(stage: Stage) -> None:
    outcome = stage.search(
        [_Wordy([scored(2)])], ScriptedJudge(), Limits(tokens=4000), roots=[ROOT]
    )
    assert outcome.by_budget
    assert (found := re.search(r"--max-output-tokens (\d+) fits", outcome.reason))
    assert 3000 < int(found[1]) < 4000


def test_a_token_limit_of_nothing_sends_nothing(stage: Stage) -> None:
    llm = Scripted([fenced(scored(2))])
    outcome = stage.search([llm], ScriptedJudge(), Limits(tokens=100), roots=[ROOT])
    assert llm.sent == []
    assert stage.store.calls(stage.run_id) == []
    assert outcome.best is not None
    assert outcome.broken is None


def test_a_failed_call_is_sent_again_and_every_attempt_is_a_row(stage: Stage) -> None:
    llm = Scripted(
        [
            Failure(FailureKind.RATE_LIMIT, "HTTP 429: slow down", retry_after_s=7200),
            Failure(FailureKind.OVERLOADED, "HTTP 529: busy"),
            Failure(FailureKind.TIMEOUT, "no answer in time", maybe_billed=True),
            fenced(scored(2)),
        ]
    )
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=2), roots=[ROOT])
    calls = stage.store.calls(stage.run_id)
    states = [CallState.FAILED, CallState.FAILED, CallState.UNSURE, CallState.DONE]
    assert [c.state for c in calls] == states
    assert len({c.request_hash for c in calls}) == 1
    assert calls[0].error == "rate_limit: HTTP 429: slow down"
    assert calls[0].cost_usd == 0
    # Nobody knows what a call that timed out cost: only the most is known, and it is not spent.
    assert calls[2].cost_usd is None
    assert calls[2].tokens == Tokens()
    assert outcome.state.spent.usd == pytest.approx(calls[3].cost_usd)
    at_most = outcome.state.at_most.usd - outcome.state.spent.usd
    assert at_most == pytest.approx(calls[2].most_usd)
    shown = [e for e in stage.events if "HTTP 429" in e]
    assert "the server asked 7,200 s" in shown[0]


@pytest.mark.parametrize("kind", [FailureKind.SPEND_LIMIT, FailureKind.DENIED])
def test_a_fault_that_waiting_cannot_mend_ends_the_search_resumably(
    stage: Stage, kind: FailureKind
) -> None:
    llm = Scripted([Failure(kind, "HTTP 4xx: no"), fenced(scored(2))])
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=9), roots=[ROOT])
    assert len(llm.sent) == 1
    assert outcome.broken is not None
    assert "HTTP 4xx: no" in outcome.broken
    assert outcome.broken_everywhere
    assert outcome.best is not None


def test_other_proposers_go_on_when_one_is_out(stage: Stage) -> None:
    broken = Scripted([Failure(FailureKind.DENIED, "HTTP 401: no")], name="broken")
    works = Scripted([fenced(scored(1 + i)) for i in range(4)], name="works")
    outcome = stage.search([broken, works], ScriptedJudge(), Limits(evaluations=4), roots=[ROOT])
    assert len(broken.sent) == 1
    assert len(works.sent) == 3
    assert outcome.broken is None


def test_a_proposer_that_keeps_failing_is_out_after_three(stage: Stage) -> None:
    llm = Scripted([Failure(FailureKind.TRUNCATED, "too long", tokens=Tokens(100, 100))] * 9)
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=9), roots=[ROOT])
    assert len(llm.sent) == 3
    assert "3 failures in a row" in str(outcome.broken)
    assert not outcome.broken_everywhere, "the prompts of another op may be answered"
    assert sum(c.tokens.output_tokens for c in stage.store.calls(stage.run_id)) == 300


def test_a_kernel_of_an_earlier_run_costs_nothing(stage: Stage) -> None:
    llm = [fenced(scored(2)), fenced(scored(3))]
    first = ScriptedJudge()
    stage.search([Scripted(llm)], first, Limits(evaluations=3), roots=[ROOT])
    assert len(first.texts) == 3
    stage.run_id = stage.store.begin_run("search", "again", {}, 0, _device(stage))
    second = ScriptedJudge()
    outcome = stage.search([Scripted(llm)], second, Limits(evaluations=9), roots=[ROOT])
    assert second.texts == []
    assert outcome.best is not None
    assert outcome.best.evaluation.score == pytest.approx(3 * 0.95)


def _device(stage: Stage) -> Device:
    return next(run.device for run in stage.store.runs())


def test_without_a_kernel_to_start_from_one_is_written_from_scratch(stage: Stage) -> None:
    llm = Scripted([fenced(failing(Status.BUILD_ERROR)), fenced(scored(2))])
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=2))
    assert llm.contexts[0].parent is None
    repaired = llm.contexts[1].parent
    assert repaired is not None
    assert repaired.evaluation.status is Status.BUILD_ERROR
    assert outcome.best is not None


def test_confirmation_replaces_what_was_drawn(stage: Stage) -> None:
    class Lucky(ScriptedJudge):
        def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> object:  # type: ignore[override]
            again = text in self.texts
            found = super().__call__(text, seed)
            lucky = "score = 9" in text and again
            return (
                super()
                .__call__(scored(0.5), seed)
                .model_copy(update={"kernel_hash": found.kernel_hash})
                if lucky
                else found
            )

    llm = Scripted([fenced(scored(9)), fenced(scored(3)), fenced(scored(2))])
    outcome = stage.search([llm], Lucky(), Limits(evaluations=15), roots=[ROOT], confirm=3)
    assert outcome.best is not None
    assert outcome.best.evaluation.score == pytest.approx(3 * 0.95)


def test_a_wait_longer_than_the_time_left_ends_the_proposer_but_breaks_nothing(
    stage: Stage,
) -> None:
    llm = Scripted([Failure(FailureKind.RATE_LIMIT, "HTTP 429")] * 99)
    outcome = stage.search(
        [llm],
        ScriptedJudge(),
        Limits(seconds=20),
        roots=[ROOT],
        retry=RetryPolicy(first_s=60),
    )
    assert len(llm.sent) == 1
    assert "no time left to wait" in outcome.reason
    assert outcome.broken is None


def test_a_model_that_only_repeats_itself_is_asked_no_more(stage: Stage) -> None:
    llm = Scripted([fenced(scored(2, f" // try {i}")) for i in range(99)])
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=50), roots=[ROOT])
    # Three times from each of two kernels; nothing further is paid for.
    assert len(llm.sent) == 7
    assert "every move from every kernel" in outcome.reason
    assert outcome.broken is None
