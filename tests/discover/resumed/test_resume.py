"""A search that is cut anywhere and taken up again: nothing lost, nothing done or paid twice."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from searching import PRICE, Scripted, ScriptedJudge, SimulatedTime, Stage, drafts, scored

from discover.autorun.autorun import settings
from discover.autorun.recipe import Recipe
from discover.budget.limits import Limits
from discover.budget.pricing import Price
from discover.calls.sending import Errand
from discover.protocol import Failure, FailureKind, Reply, Request
from discover.search.search import MAX_LOST_CALLS
from discover.search.settings import SearchRequest, SearchSettings
from discover.selection.tree import NodeState
from foundry.store.records import CallState

CUT = Path(__file__).parent / "assets" / "cut_search.db"
"""A search that the code of version 0.1.0 was killed in; schema 0001."""
ROOT = scored(1.0)
REPLIES = [scored(1 + i / 10, f" int a{i} = {i};") for i in range(12)]
LIMITS = Limits(evaluations=10)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


def whole(folder: Path) -> Counter[str]:
    """Verdicts of a search that nothing cuts."""
    folder.mkdir()
    uncut = Stage(folder)
    uncut.search([Scripted(REPLIES)], ScriptedJudge(), LIMITS, roots=[ROOT])
    found = Counter(status for status, _ in uncut.evaluations())
    uncut.store.close()
    return found


@pytest.mark.parametrize("cut", range(1, 10))
def test_cut_while_judging(stage: Stage, tmp_path: Path, cut: int) -> None:
    replies = list(REPLIES)
    llm = Scripted(replies)
    first = ScriptedJudge(interrupt_at=cut)
    with pytest.raises(KeyboardInterrupt):
        stage.search([llm], first, LIMITS, roots=[ROOT])
    second = ScriptedJudge()
    stage.search([llm], second, LIMITS, roots=[ROOT], resume=True)
    kept = first.texts[: cut - 1]
    assert not set(kept) & set(second.texts), "an evaluation that was kept is not made again"
    assert len(kept) + len(second.texts) == LIMITS.evaluations
    assert Counter(s for s, _ in stage.evaluations()) == whole(tmp_path / "whole")
    calls = stage.store.calls(stage.run_id)
    assert len(calls) == LIMITS.evaluations - 1, "no reply is bought twice"
    assert all(c.state is CallState.DONE for c in calls)


def test_cut_while_a_call_is_under_way(stage: Stage) -> None:
    def die() -> Reply | Failure:
        raise Killed

    llm = Scripted([REPLIES[1], die])
    with pytest.raises(Killed):
        stage.search([llm], ScriptedJudge(), LIMITS, roots=[ROOT])
    assert [c.state for c in stage.store.calls(stage.run_id)] == [CallState.DONE, CallState.SENT]
    again = Scripted(REPLIES[2:])
    outcome = stage.search([again], ScriptedJudge(), LIMITS, roots=[ROOT], resume=True)
    calls = stage.store.calls(stage.run_id)
    lost = [c for c in calls if c.state is CallState.LOST]
    assert len(lost) == 1
    assert calls[2].request_hash == lost[0].request_hash, "the same request, once more"
    assert lost[0].most_usd is not None
    paid = sum(c.cost_usd or 0 for c in calls if c.state is CallState.DONE)
    assert outcome.state.spent.usd == pytest.approx(paid)
    assert outcome.state.at_most.usd == pytest.approx(paid + lost[0].most_usd)
    # The turn counts on: the resumed search asks for what comes next, not for the first again.
    assert [r.body["turn"] for r in again.sent][:3] == [1, 2, 3]


def test_a_request_that_is_lost_again_and_again_is_given_up(stage: Stage) -> None:
    def die() -> Reply | Failure:
        raise Killed

    for resume in (False, *[True] * (MAX_LOST_CALLS - 1)):
        with pytest.raises(Killed):
            stage.search([Scripted([die])], ScriptedJudge(), LIMITS, roots=[ROOT], resume=resume)
    llm = Scripted(REPLIES[2:])
    stage.search([llm], ScriptedJudge(), LIMITS, roots=[ROOT], resume=True)
    failed = [n for n in stage.store.nodes(stage.run_id) if n.state == NodeState.FAILED]
    assert [n.detail["why"] for n in failed] == ["its call was lost"]
    lost = stage.store.calls(stage.run_id)[:MAX_LOST_CALLS]
    assert len({c.request_hash for c in lost}) == 1
    assert all(r.body["turn"] > 0 for r in llm.sent)


def test_refusals_of_an_outage_are_no_lost_calls(stage: Stage) -> None:
    def die() -> Reply | Failure:
        raise Killed

    busy = Failure(FailureKind.RATE_LIMIT, "HTTP 429")
    outage = [busy] * (2 * MAX_LOST_CALLS)
    with pytest.raises(Killed):
        stage.search([Scripted([*outage, die])], ScriptedJudge(), LIMITS, roots=[ROOT])
    assert len(stage.store.calls(stage.run_id)) > MAX_LOST_CALLS
    stage.search([Scripted(REPLIES)], ScriptedJudge(), LIMITS, roots=[ROOT], resume=True)
    assert {n.state for n in stage.store.nodes(stage.run_id)} == {NodeState.JUDGED}


def test_looks_at_rivals_count_and_are_not_taken_twice(stage: Stage) -> None:
    limits = Limits(evaluations=30)
    llm = Scripted([scored(3.0), scored(2.99)])
    first = stage.search([llm], ScriptedJudge(), limits, roots=[ROOT], confirm=3)
    looks = [n.detail.get("confirmed", 0) for n in stage.store.nodes(stage.run_id)]
    assert sorted(looks)[-2:] == [2, 2]
    judge = ScriptedJudge()
    again = stage.search([Scripted([])], judge, limits, roots=[ROOT], confirm=3, resume=True)
    assert judge.texts == []
    assert again.state.evaluations == first.state.evaluations


def test_budgets_count_over_sessions(stage: Stage) -> None:
    llm = Scripted(REPLIES)
    with pytest.raises(KeyboardInterrupt):
        stage.search([llm], ScriptedJudge(interrupt_at=6), LIMITS, roots=[ROOT])
    for _ in range(2):
        outcome = stage.search([llm], ScriptedJudge(), LIMITS, roots=[ROOT], resume=True)
        assert outcome.state.evaluations == LIMITS.evaluations
    assert len(list(stage.evaluations())) == LIMITS.evaluations


def test_a_wait_that_was_cut_goes_on_with_the_next_attempt(stage: Stage) -> None:
    def die() -> Reply | Failure:
        raise Killed

    busy = Failure(FailureKind.OVERLOADED, "HTTP 529")
    with pytest.raises(Killed):
        stage.search([Scripted([busy, die])], ScriptedJudge(), LIMITS, roots=[ROOT])
    llm = Scripted(REPLIES[1:])
    stage.search([llm], ScriptedJudge(), Limits(evaluations=2), roots=[ROOT], resume=True)
    states = [c.state for c in stage.store.calls(stage.run_id)]
    assert states == [CallState.FAILED, CallState.LOST, CallState.DONE]


def test_the_tree_comes_back_as_it_was(stage: Stage) -> None:
    llm = Scripted(REPLIES)
    stage.search([llm], ScriptedJudge(), Limits(evaluations=6), roots=[ROOT])
    before = {
        n.id: (n.parent, n.reward, n.state, n.kernel_hash) for n in stage.store.nodes(stage.run_id)
    }
    stage.search([llm], ScriptedJudge(), Limits(evaluations=9), roots=[ROOT], resume=True)
    after = {
        n.id: (n.parent, n.reward, n.state, n.kernel_hash) for n in stage.store.nodes(stage.run_id)
    }
    assert before.items() <= after.items()
    assert len(after) == 9


def test_a_search_that_the_first_version_was_killed_in_goes_on(tmp_path: Path) -> None:
    """Its database: a root, three kernels of a model, and a call without an answer."""
    shutil.copy(CUT, tmp_path / "search.db")
    stage = Stage(tmp_path, run_id=1)
    before = {n.id: (n.parent, n.reward, n.kernel_hash) for n in stage.store.nodes(1)}
    del before[4]  # the one that was asked for when the process died
    judge, llm = ScriptedJudge(), Scripted(REPLIES[3:])
    outcome = stage.search([llm], judge, LIMITS, roots=[ROOT], resume=True)
    after = {n.id: (n.parent, n.reward, n.kernel_hash) for n in stage.store.nodes(1)}
    assert before.items() <= after.items()
    assert len(after) == outcome.state.evaluations == LIMITS.evaluations
    assert len(judge.texts) == LIMITS.evaluations - len(before), "nothing is judged twice"
    calls = stage.store.calls(1)
    assert [c.state for c in calls[:4]] == [CallState.DONE] * 3 + [CallState.LOST]
    assert calls[4].request_hash == calls[3].request_hash, "what was lost is asked again"
    stage.store.close()


def test_commands_of_the_first_version_are_continued() -> None:
    """The settings by which a database knows a search; an entry more, and it is begun anew."""
    request = SearchRequest(
        "softmax",
        "float16",
        Limits(evaluations=3),
        "discover search softmax",
        SearchSettings(proposers=("openai-chat:m",), base_url="http://h/v1", effort="low", seed=4),
        kernel_file=Path("k.metal"),
        part_of="autorun 7",
    )
    assert request.key() == {
        "op": "softmax",
        "dtype": "float16",
        "proposers": ["openai-chat:m"],
        "bench": "quick",
        "base_url": "http://h/v1",
        "effort": "low",
        "exploration": 1.0,
        "kernel_file": "k.metal",
        "from_scratch": False,
        "part_of": "autorun 7",
    }
    recipe = Recipe(name="night", ops=("silu",), total=Limits(usd=3.0))
    assert settings(recipe) == {
        "name": "night",
        "ops": ["silu"],
        "dtypes": ["float32"],
        "proposers": ["mutate"],
        "base_url": None,
        "effort": None,
        "max_output_tokens": 16000,
        "bench": "quick",
        "device": "auto",
        "seed": 0,
        "exploration": 1.0,
        "confirm": 3,
    }


def test_calls_of_a_time_without_a_price_are_paid_for_once_it_is_known(stage: Stage) -> None:
    limits = Limits(evaluations=3)
    stage.search([Scripted(REPLIES)], ScriptedJudge(), limits, roots=[ROOT], price=None)
    dear = Price(input=1000.0, output=1000.0)
    search = stage.opened([Scripted(REPLIES)], ScriptedJudge(), Limits(usd=0.01), price=dear)
    outcome = search.run([], search._journal.restore())
    assert outcome.state.evaluations == 3
    assert outcome.state.spent.usd > 0.01


def test_a_call_that_a_server_keeps_alive_without_an_answer_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.calls.sending._MOMENT_S", 0.1)
    ended = threading.Event()

    def dripping() -> Reply | Failure:
        ended.wait(30.0)
        return Failure(FailureKind.SERVER, "too late")

    llm = Scripted([dripping] * 4)
    search = stage.opened([llm], ScriptedJudge(), Limits(evaluations=2), price=PRICE)
    search._calls._limit_s, search._calls._grace_s = 0.1, 0.1
    search.run([*drafts([ROOT])], None)
    ended.set()
    states = [call.state for call in stage.store.calls(stage.run_id)]
    assert states[:4] == [CallState.UNSURE] * 4, "as often as any that is not answered"
    assert any("given up after 4 attempts" in line for line in stage.events), stage.events


def test_answers_to_a_process_that_was_stopped_are_still_waited_for(stage: Stage) -> None:
    """After Ctrl-Z and `fg` every call is late, and its answer is about to come in."""
    ended, clock = threading.Event(), SimulatedTime()

    def slow() -> Reply | Failure:
        ended.wait(30.0)
        return Failure(FailureKind.SERVER, "too late")

    llm = Scripted([slow])
    search = stage.opened([llm], ScriptedJudge(), Limits(evaluations=2), clock=clock)
    calls, seat = search._calls, search._roster.seats[0]
    node = search._tree.open(None, llm.name)
    calls.send(Errand(node, seat, Request(llm.name, llm.model, {}, 100)))
    clock.now_s += 3600.0
    assert calls.overdue() == []
    assert calls.flying == 1
    clock.now_s += 5.0
    calls.overdue()
    assert calls.flying == 0
    ended.set()
