"""Repairs: at once, within their share, and everything an answer holds is judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import toy
from searching import Scripted, ScriptedJudge, Stage, failing, scored

from discover.budget.limits import Limits
from discover.calls.bandit import in_turn
from discover.calls.seat import MAX_REPEATS_OF_PARENT, Seat
from discover.search.settings import SearchSettings
from discover.selection.cells import cell_of
from discover.selection.repairs import MAX_CHAIN, MAX_REPAIRS
from discover.selection.reward import Yardstick
from foundry.judge.verdict import Status
from foundry.kernel import parse
from foundry.prompts.answer import extract_all

ROOT = scored(1.0)
BROKEN = [failing(Status.WRONG_RESULT, f" int w = {i};") for i in range(400)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


def repairs(stage: Stage) -> list[int]:
    """Nodes whose parent had failed."""
    nodes = {n.id: n for n in stage.store.nodes(stage.run_id)}
    return [n.id for n in nodes.values() if n.parent is not None and nodes[n.parent].reward is None]


@pytest.mark.parametrize(
    "share",
    [pytest.param(0.0, marks=pytest.mark.slow), 0.2, pytest.param(0.5, marks=pytest.mark.slow)],
)
def test_repairs_take_their_share_and_no_more(stage: Stage, share: float) -> None:
    stage.search(
        [Scripted(BROKEN)], ScriptedJudge(), Limits(evaluations=121), roots=[ROOT],
        settings=SearchSettings(seed=5, confirm=0, repair=share),
    )  # fmt: skip
    found = len(repairs(stage)) / 120
    assert abs(found - share) < 0.05


def test_a_failure_is_repaired_at_once_and_not_for_ever(stage: Stage) -> None:
    llm = Scripted(BROKEN)
    stage.search(
        [llm], ScriptedJudge(), Limits(evaluations=60), roots=[ROOT],
        settings=SearchSettings(seed=5, confirm=0, repair=1.0),
    )  # fmt: skip
    second = llm.contexts[1].parent
    assert second is not None
    assert second.evaluation.status is Status.WRONG_RESULT
    nodes = {n.id: n for n in stage.store.nodes(stage.run_id)}
    children = [n.parent for n in nodes.values() if n.parent is not None]
    broken = [n for n in nodes.values() if n.reward is None]
    assert max(children.count(n.id) for n in broken) <= MAX_REPAIRS

    def chain(node_id: int) -> int:
        parent = nodes[node_id].parent
        return 0 if parent is None or nodes[parent].reward is not None else 1 + chain(parent)

    assert max(chain(n.id) for n in broken) == MAX_CHAIN


def test_all_kernels_of_an_answer_are_judged_and_copies_cost_nothing(stage: Stage) -> None:
    answer = "\n".join(
        f"Try {n}:\n```metal\n{text}```" for n, text in enumerate([ROOT, scored(2), scored(3)])
    )
    judge, llm = ScriptedJudge(), Scripted([answer, answer, scored(4)])
    outcome = stage.search([llm], judge, Limits(evaluations=4), roots=[ROOT])
    assert [judge.texts[0], *sorted(judge.texts[1:3])] == [ROOT, scored(2), scored(3)]
    assert outcome.state.evaluations == 4
    assert llm.contexts[1].turn == 1, "one answer is one turn"
    assert [k.kernel.hash for k in extract_all(answer, toy.OP)] == [
        parse(text).hash for text in (scored(3), scored(2), ROOT)
    ]


def test_a_kill_between_the_kernels_of_an_answer_loses_none(stage: Stage) -> None:
    answer = "\n".join(f"```metal\n{scored(2 + n)}```" for n in range(4))
    judge = ScriptedJudge(interrupt_at=3)
    with pytest.raises(KeyboardInterrupt):
        stage.search([Scripted([answer])], judge, Limits(evaluations=5), roots=[ROOT])
    again = ScriptedJudge()
    outcome = stage.search([Scripted([])], again, Limits(evaluations=5), roots=[ROOT], resume=True)
    assert outcome.state.evaluations == 5
    assert len(set(judge.texts[:2] + again.texts)) == 5
    assert len(stage.store.calls(stage.run_id)) == 1


def test_the_faster_of_two_is_ranked_first_though_the_baseline_swung() -> None:
    yardstick = Yardstick()
    calm = toy.passed(1.5)
    timing = calm.timings[0]
    # Slower by the clock, but its own baseline had a slow moment.
    lucky = timing.model_copy(
        update={"baseline_us": 40.0, "kernel_us": timing.kernel_us * 1.2, "speedup": 2.5}
    )
    first = yardstick.reward(calm, here=True)
    second = yardstick.reward(calm.model_copy(update={"timings": (lucky,)}), here=True)
    assert first == pytest.approx(1.5)
    assert second == pytest.approx(1.25)
    elsewhere = yardstick.reward(calm.model_copy(update={"timings": (lucky,)}), here=False)
    assert elsewhere == 2.5


def test_a_machine_that_was_faster_yesterday_is_no_yardstick_today() -> None:
    yardstick = Yardstick()
    yesterday = toy.passed(2.0)
    timing = yesterday.timings[0]
    slower = {"baseline_us": timing.baseline_us * 3, "kernel_us": timing.kernel_us * 3}
    today = yesterday.model_copy(update={"timings": (timing.model_copy(update=slower),)})
    assert yardstick.reward(yesterday, here=False) == pytest.approx(2.0)
    assert yardstick.reward(today, here=True) == pytest.approx(2.0)


def test_a_parent_that_gives_the_same_again_and_again_is_left_alone(stage: Stage) -> None:
    same = [scored(2, f" // try {i}") for i in range(30)]
    llm = Scripted(same)
    stage.search([llm], ScriptedJudge(), Limits(evaluations=30), roots=[ROOT])
    asked = [c.parent.text for c in llm.contexts if c.parent]
    assert max(asked.count(text) for text in set(asked)) <= MAX_REPEATS_OF_PARENT + 1


def test_quotes_beside_a_new_kernel_are_no_repetitions(stage: Stage) -> None:
    quoted = f"You said:\n```metal\n{scored(1.5)}```\n"
    fresh = (scored(2 - i / 100, f" int a{i} = {i};") for i in range(12))
    answers = [scored(1.5), *(f"{quoted}I say:\n```metal\n{text}```" for text in fresh)]
    stage.search([Scripted(answers)], ScriptedJudge(), Limits(evaluations=14), roots=[ROOT])
    nodes = stage.store.nodes(stage.run_id)
    assert {n.state for n in nodes} == {"judged"}
    assert len(nodes) == 14


def test_whoever_brings_more_for_its_cost_is_asked_first() -> None:
    good, poor, new = (Seat(Scripted([], name=name)) for name in ("good", "poor", "new"))
    good.turns = poor.turns = 20
    good.gains, poor.gains = 10, 1
    limits = Limits(evaluations=100, usd=1.0)
    assert in_turn([poor, good], limits) == [good, poor]
    assert in_turn([poor, good, new], limits)[0] is new
    good.answers, good.spent_usd = 20, 20.0
    assert in_turn([poor, good], limits) == [poor, good], "a dollar a call is too dear"
    assert in_turn([poor, good], Limits(evaluations=100)) == [good, poor]
    poor.gains = 10
    assert in_turn([good, poor], Limits(usd=100.0)) == [poor, good], "the free one of two equals"


def test_kinds_of_kernels_are_told_apart() -> None:
    def cell(body: str) -> tuple[int, int, int]:
        return cell_of(parse(toy.kernel(body)))

    assert cell("out[0] = x[0];") == (0, 0, 0)
    assert cell("float4 v; for (uint i = 0; i < 4; ++i) { out[i] = fma(x[i], x[i], v.x); }") == (
        1, 1, 1,
    )  # fmt: skip
    staged = "threadgroup float tile[32]; tile[0] = simd_sum(x[0]); out[0] = tile[0];"
    assert cell(staged) == (2, 0, 2)
    assert cell(staged + " threadgroup_barrier(mem_flags::mem_threadgroup);") == (2, 0, 3)
