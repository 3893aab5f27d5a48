"""Hours of outages, budgets to their last token, and Ctrl-C, on a clock that runs by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from searching import Scripted, ScriptedJudge, SimulatedTime, Stage, scored

from discover.budget.limits import Limits
from discover.calls.retry import RetryPolicy
from discover.calls.seat import RUBBISH_AFTER
from discover.protocol import Failure, FailureKind, Reply
from foundry.errors import EnvironmentUnusable
from foundry.judge.options import NOBODY, Rivals
from foundry.judge.verdict import Evaluation, Status
from foundry.store.records import CallState, Tokens

ROOT = scored(1.0)
PATIENT = RetryPolicy()
HOUR_S = 3600.0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


class Server:
    """Answers with a new kernel every time, unless it is down."""

    def __init__(self, clock: SimulatedTime, seconds: float = 5.0) -> None:
        self.clock = clock
        self.fault: Failure | None = None
        self.seconds = seconds
        self.answered_at: list[float] = []

    def __call__(self) -> Reply | Failure:
        self.clock.now_s += self.seconds
        if self.fault is not None:
            return self.fault
        self.answered_at.append(self.clock.now_s)
        number = len(self.answered_at)
        return Reply(scored(1 + number / 100, f" int a{number} = {number};"), Tokens(100, 50))

    def goes_down(self, after_s: float, for_s: float, fault: Failure) -> None:
        start = self.clock.now_s + after_s
        self.clock.at += [
            (start, lambda: setattr(self, "fault", fault)),
            (start + for_s, lambda: setattr(self, "fault", None)),
        ]


BUSY = Failure(FailureKind.OVERLOADED, "HTTP 529: busy")
REFUSED = Failure(FailureKind.CONNECTION, "connection refused")


@pytest.mark.parametrize("fault", [BUSY, REFUSED], ids=lambda f: f.kind)
def test_an_outage_of_hours_ends_nothing(stage: Stage, fault: Failure) -> None:
    clock = SimulatedTime()
    server = Server(clock)
    llm = Scripted([lambda: _pass(clock, server)] * 4000)
    clock.at = []
    server.goes_down(60, 3 * HOUR_S, fault)
    outcome = stage.search(
        [llm], ScriptedJudge(), Limits(evaluations=60), roots=[ROOT], parallel=4,
        clock=clock, retry=PATIENT,
    )  # fmt: skip
    assert outcome.state.evaluations == 60
    assert not outcome.broken
    assert {n.state for n in stage.store.nodes(stage.run_id)} == {"judged"}
    away_s = outcome.away_s["scripted model-x"]
    assert 3 * HOUR_S * 0.9 < away_s < 4.5 * HOUR_S
    # Doubling pauses: an hour's outage costs a dozen questions, not thousands.
    failed = [c for c in stage.store.calls(stage.run_id) if c.state is CallState.FAILED]
    assert len(failed) < 40
    told = [line for line in stage.events if "is away" in line]
    assert 0 < len(told) <= len(failed) - 3, "the four that were under way fail as one"
    assert any("is back" in line for line in stage.events)


def _pass(clock: SimulatedTime, server: Server) -> Reply | Failure:
    clock.pass_(0.0)
    return server()


def test_other_work_goes_on_while_a_proposer_is_away(stage: Stage) -> None:
    clock = SimulatedTime()
    away = Scripted([BUSY] * 500, name="away")
    works = Scripted([scored(1 + i / 9, f" int b{i};") for i in range(20)], name="works")
    outcome = stage.search(
        [away, works], ScriptedJudge(), Limits(evaluations=18, seconds=4 * HOUR_S), roots=[ROOT],
        clock=clock, retry=PATIENT,
    )  # fmt: skip
    assert len(works.sent) >= 16
    assert outcome.broken is None
    assert "away model-x is away" in "\n".join(stage.events)


def test_a_fault_after_answers_is_asked_about_again_in_an_hour(stage: Stage) -> None:
    clock = SimulatedTime()
    spent = Failure(FailureKind.SPEND_LIMIT, "HTTP 402: no credit")
    llm = Scripted([scored(2), spent, *(scored(2 + i, f" int c{i};") for i in range(1, 9))])

    def slow(number: int) -> Callable[[], Reply]:
        def answer() -> Reply:
            clock.now_s += 600
            return Reply(scored(1 + number / 99, f" int d{number};"), Tokens(1, 1))

        return answer

    other = Scripted([slow(i) for i in range(40)], name="other")
    outcome = stage.search(
        [llm, other], ScriptedJudge(), Limits(evaluations=30), roots=[ROOT], clock=clock
    )
    assert len(llm.sent) > 2, "it is asked again"
    assert outcome.broken is None


def test_unlike_failures_do_not_add_up(stage: Stage) -> None:
    kinds = [FailureKind.TRUNCATED, FailureKind.REFUSED] * 3
    failures = [Failure(kind, str(kind), tokens=Tokens(10, 10)) for kind in kinds]
    llm = Scripted([*failures, scored(2), scored(3), scored(4)])
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=4), roots=[ROOT])
    assert outcome.broken is None
    assert len(llm.sent) == 9


@pytest.mark.parametrize("parallel", [1, 16])
def test_a_budget_is_used_to_its_end_and_not_passed(stage: Stage, parallel: int) -> None:
    clock = SimulatedTime()
    server = Server(clock, seconds=0.0)
    limit = 6000
    outcome = stage.search(
        [Scripted([server] * 500)], ScriptedJudge(), Limits(tokens=limit), roots=[ROOT],
        parallel=parallel, clock=clock,
    )  # fmt: skip
    used = sum(c.tokens.input_tokens + c.tokens.output_tokens for c in _calls(stage))
    assert 0.95 * limit <= used <= limit
    assert outcome.by_budget
    assert "tokens: " in outcome.reason


def _calls(stage: Stage) -> list:  # type: ignore[type-arg]
    return stage.store.calls(stage.run_id)


def test_what_a_budget_ended_goes_on_with_a_larger_one(stage: Stage) -> None:
    clock = SimulatedTime()
    llm = Scripted([Server(clock, seconds=0.0)] * 1)
    llm._script = [llm._script[0]] * 200
    first = stage.search([llm], ScriptedJudge(), Limits(tokens=2000), roots=[ROOT], clock=clock)
    sent = len(llm.sent)
    again = ScriptedJudge()
    for limit in (2000, 4000):
        outcome = stage.search(
            [llm], again, Limits(tokens=limit), roots=[ROOT], clock=clock, resume=True
        )
    assert first.by_budget
    assert outcome.state.spent.tokens > 1.8 * first.state.spent.tokens
    assert len(llm.sent) > 1.8 * sent
    assert ROOT not in again.texts, "roots are judged once"


def test_calls_without_an_answer_are_never_called_spent(stage: Stage) -> None:
    clock = SimulatedTime()
    lost = Failure(FailureKind.TIMEOUT, "no answer in time", maybe_billed=True)
    outcome = stage.search(
        [Scripted([lost] * 5000)], ScriptedJudge(), Limits(usd=0.5, seconds=8 * HOUR_S),
        roots=[ROOT], clock=clock, retry=PATIENT,
    )  # fmt: skip
    assert outcome.state.spent.usd == 0
    assert outcome.state.spent.tokens == 0
    assert 0 < outcome.state.at_most.usd <= 0.5


def test_no_call_is_sent_that_the_time_left_cannot_receive(stage: Stage) -> None:
    clock = SimulatedTime()
    start, limit_s = clock.now_s, 1000.0
    server = Server(clock, seconds=90.0)
    outcome = stage.search(
        [Scripted([server] * 99)], ScriptedJudge(), Limits(seconds=limit_s), roots=[ROOT],
        clock=clock,
    )  # fmt: skip
    assert server.answered_at
    assert server.answered_at[-1] - start <= limit_s
    assert server.answered_at[-1] - start > limit_s - 2 * 90
    assert {c.state for c in _calls(stage)} == {CallState.DONE}
    assert "an answer of scripted model-x takes 90 s" in outcome.reason
    assert outcome.by_budget


class SlowJudge(ScriptedJudge):
    """Each kernel takes its time."""

    def __init__(self, clock: SimulatedTime, seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> Evaluation:
        self.clock.pass_(self.seconds)
        return super().__call__(text, seed, rivals)


def test_a_limit_of_time_is_used_and_the_second_looks_fit_into_it(stage: Stage) -> None:
    clock, limit_s = SimulatedTime(), 300.0
    offline = Scripted(
        [scored(1 + i / 1000, f" int a{i} = {i};") for i in range(999)], remote=False
    )
    outcome = stage.search(
        [offline], SlowJudge(clock, 1.0), Limits(seconds=limit_s), roots=[ROOT], confirm=3,
        clock=clock,
    )  # fmt: skip
    assert 0.95 * limit_s <= outcome.state.elapsed_s <= limit_s
    looks = [n.detail.get("confirmed", 0) for n in stage.store.nodes(stage.run_id)]
    assert sorted(looks)[-3:] == [1, 2, 2], "three finalists, and two rivals once more"


def test_a_session_knows_what_the_ones_before_it_took(stage: Stage) -> None:
    clock = SimulatedTime()
    judge = SlowJudge(clock, 7.0)
    llm = Scripted([scored(1 + i, f" int a{i};") for i in range(9)], remote=False)
    first = stage.search([llm], judge, Limits(evaluations=3), roots=[ROOT], clock=clock)
    clock.pass_(HOUR_S)
    more = stage.search([llm], judge, Limits(evaluations=6), clock=clock, resume=True)
    assert first.state.earlier_s == 0
    assert more.state.earlier_s == pytest.approx(21)
    assert more.state.elapsed_s == pytest.approx(42)


def test_no_answer_that_is_paid_is_left_unjudged_for_want_of_time(stage: Stage) -> None:
    clock = SimulatedTime()
    server = Server(clock, seconds=40.0)
    outcome = stage.search(
        [Scripted([server] * 99)], SlowJudge(clock, 5.0), Limits(seconds=1000.0), roots=[ROOT],
        confirm=3, clock=clock,
    )  # fmt: skip
    assert {n.state for n in stage.store.nodes(stage.run_id)} == {"judged"}
    assert outcome.state.elapsed_s > 900


def test_who_comes_back_near_the_end_is_still_asked(stage: Stage) -> None:
    clock = SimulatedTime()
    start, limit_s = clock.now_s, 8 * HOUR_S
    server = Server(clock)
    llm = Scripted([lambda: _pass(clock, server)] * 9999)
    server.goes_down(7 * HOUR_S, 0.6 * HOUR_S, REFUSED)
    stage.search(
        [llm], SlowJudge(clock, 60.0), Limits(seconds=limit_s), roots=[ROOT], clock=clock,
        retry=PATIENT,
    )  # fmt: skip
    assert server.answered_at[-1] - start > 0.99 * limit_s


def test_ctrl_c_waits_for_what_is_paid_and_the_next_session_judges_it(stage: Stage) -> None:
    clock = SimulatedTime()
    server = Server(clock)
    wanted: list[bool] = []

    def answer() -> Reply | Failure:
        wanted.append(True)
        return server()

    llm = Scripted([answer] * 50)
    judge = ScriptedJudge()
    with pytest.raises(KeyboardInterrupt):
        stage.search(
            [llm], judge, Limits(evaluations=20), roots=[ROOT], parallel=3, clock=clock,
            stopping=lambda: len(wanted) >= 3,
        )  # fmt: skip
    calls = _calls(stage)
    assert calls
    assert {c.state for c in calls} == {CallState.DONE}
    before = len(calls)
    outcome = stage.search(
        [llm], judge, Limits(evaluations=20), roots=[ROOT], parallel=3, clock=clock, resume=True
    )
    assert outcome.state.evaluations == 20
    assert len(set(judge.texts)) == 20
    assert len(_calls(stage)) == 19
    assert before <= 5


def test_ctrl_c_does_not_wait_for_a_call_that_broke(stage: Stage) -> None:
    leaving = threading.Event()

    def fault() -> Reply | Failure:
        leaving.wait(10)
        raise ZeroDivisionError("a fault of ours")

    def stopping() -> bool:
        if len(llm.sent) == 2:
            leaving.set()
        return leaving.is_set()

    llm, clock = Scripted([scored(2.0), fault]), SimulatedTime()
    with pytest.raises(ZeroDivisionError):
        stage.search(
            [llm], ScriptedJudge(), Limits(evaluations=9), roots=[ROOT], parallel=2, clock=clock,
            stopping=stopping,
        )  # fmt: skip
    assert leaving.is_set()


def test_a_judge_that_cannot_go_on_loses_no_answer_that_is_paid(stage: Stage) -> None:
    """What is on its way is waited for, and what came in meanwhile is kept."""
    broken = threading.Event()

    class BrokenJudge(ScriptedJudge):
        def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> Evaluation:
            if "score = 2" in text:
                while len(llm.sent) < 3:
                    time.sleep(0.001)
                broken.set()
                raise EnvironmentUnusable("the fork server ended.", "Run the command again.")
            return super().__call__(text, seed, rivals)

    def late(score: float) -> Callable[[], Reply]:
        def answer() -> Reply:
            assert broken.wait(10)
            time.sleep(0.1)
            return Reply(scored(score), Tokens(200, 50))

        return answer

    llm, clock = Scripted([scored(2.0), late(3.0), late(4.0)]), SimulatedTime()
    limits = Limits(evaluations=4)
    with pytest.raises(EnvironmentUnusable, match="fork server ended"):
        stage.search([llm], BrokenJudge(), limits, roots=[ROOT], parallel=3, clock=clock)
    assert [c.state for c in _calls(stage)] == [CallState.DONE] * 3
    judge = ScriptedJudge()
    stage.search([llm], judge, limits, roots=[ROOT], parallel=3, clock=clock, resume=True)
    assert len(judge.texts) == 3
    assert len(llm.sent) == 3


def test_a_model_that_answers_only_rubbish_is_stopped(stage: Stage) -> None:
    llm = Scripted(["Sorry, no."] * 500)
    outcome = stage.search([llm], ScriptedJudge(), Limits(evaluations=400), roots=[ROOT])
    assert len(llm.sent) == RUBBISH_AFTER
    assert f"{RUBBISH_AFTER} of {RUBBISH_AFTER} answers hold no kernel file" in outcome.reason
    assert outcome.state.statuses[Status.INVALID] == RUBBISH_AFTER


def test_restarts_add_no_roots(stage: Stage) -> None:
    roots = [ROOT, scored(1.1), scored(1.0, " // again"), scored(1.2)]
    judge = ScriptedJudge(interrupt_at=2)
    llm = Scripted([scored(2)])
    with pytest.raises(KeyboardInterrupt):
        stage.search([llm], judge, Limits(evaluations=3), roots=roots)
    more = [*roots, scored(7.0)]
    stage.search([llm], ScriptedJudge(), Limits(evaluations=4), roots=more, resume=True)
    nodes = stage.store.nodes(stage.run_id)
    assert sum(n.proposer.startswith("root:") for n in nodes) == 3
    assert len(llm.sent) == 1
