"""Lessons: from proven pairs, into prompts, credited by the judge, dropped when they do not pay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import toy
from searching import Scripted, ScriptedJudge, Stage, scored

from discover.budget.limits import Limits
from discover.history.lessons import MAX_WORDS, lesson_of, words_of
from discover.protocol import Context
from foundry.prompts.assignment import Attempt
from foundry.prompts.build import build
from foundry.store.lessons import TRIED_AFTER, relevant
from foundry.store.records import Lesson

ROOT = scored(1.0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


def lessons(stage: Stage) -> list[Lesson]:
    return relevant(stage.store, "twice", "test", toy.DEVICE, 9)


def answer(score: float, words: str) -> str:
    return f"{words}\n\n```metal\n{scored(score)}```\nGood luck."


def test_a_faster_child_teaches_and_the_next_prompt_tells(stage: Stage) -> None:
    said = "I read four elements at a time. That halves the instructions."
    llm = Scripted([answer(2.0, said), answer(2.02, "A little."), answer(0.5, "Worse.")])
    stage.search([llm], ScriptedJudge(), Limits(evaluations=4), roots=[ROOT])
    (kept,) = lessons(stage)
    assert (kept.op, kept.text) == ("twice", said)
    assert kept.gain == pytest.approx(2.0)
    assert llm.contexts[0].lessons == ()
    assert [lesson.text for lesson in llm.contexts[1].lessons] == [said]
    # Heard by two authors; a kernel that beats its parent by nothing sure still beats it.
    assert (kept.shown, kept.paid) == (2, 1)
    prompt = build(llm.contexts[1]).user
    assert f"- twice, 2.00x: {said}" in prompt


def test_lessons_outlive_the_search_and_are_dropped_when_they_do_not_pay(stage: Stage) -> None:
    first = Scripted([answer(2.0, "Use vectors.")])
    stage.search([first], ScriptedJudge(), Limits(evaluations=2), roots=[ROOT])
    stage.run_id = stage.store.begin_run("search", "again", {}, 0, toy.DEVICE)
    worse = [answer(0.9 - i / 100, f"Try {i}.") for i in range(TRIED_AFTER + 3)]
    llm = Scripted(worse)
    stage.search([llm], ScriptedJudge(), Limits(evaluations=TRIED_AFTER + 4), roots=[ROOT])
    assert llm.contexts[0].lessons
    assert llm.contexts[0].lessons[0].text == "Use vectors."
    assert lessons(stage) == []


def test_every_kernel_of_an_answer_has_its_say_on_what_its_author_heard(stage: Stage) -> None:
    two = f"Two ways.\n```metal\n{scored(0.5)}```\n```metal\n{scored(9.0)}```"
    llm = Scripted([answer(2.0, "Use vectors."), two])
    stage.search([llm], ScriptedJudge(), Limits(evaluations=4), roots=[ROOT])
    (kept,) = (one for one in lessons(stage) if one.text == "Use vectors.")
    assert (kept.shown, kept.paid) == (2, 1)


def test_only_what_is_surely_faster_teaches() -> None:
    def attempt(speedup: float, **detail: object) -> Attempt:
        return Attempt(scored(speedup), toy.passed(speedup), {"words": "Less traffic.", **detail})

    assert lesson_of(attempt(1.0), attempt(1.5)) == ("Less traffic.", pytest.approx(1.5))
    assert lesson_of(attempt(1.0), attempt(1.05)) is None
    assert lesson_of(attempt(1.0), attempt(1.5, words="")) is None
    moved = attempt(1.5, words="", move="knob", label="vec 4 -> 8")
    assert lesson_of(attempt(1.0), moved) == ("vec 4 -> 8", pytest.approx(1.5))
    assert Context(toy.OP, "float32", toy.DEVICE, None).lessons == ()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("Two passes become one.\n```metal\n/*kernel\n", "Two passes become one."),
        ("/*kernel\nop = 1\n*/", ""),
        ("# Plan\n\n" + "A sentence of some length. " * 40, None),
    ],
)
def test_what_an_author_says_is_kept_in_whole_sentences(reply: str, words: str | None) -> None:
    found = words_of(reply)
    assert len(found) <= MAX_WORDS
    assert found == words if words is not None else found.endswith("length.")
