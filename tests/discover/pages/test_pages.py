"""The page of the morning: everything in it, nothing that escapes, and small however large."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from searching import Scripted, ScriptedJudge, Stage, failing, scored
from sqlalchemy import update

from discover.budget.limits import Limits
from discover.history.summary import Found, summarise
from discover.pages import svg
from discover.pages.html import page
from discover.pages.markdown import _plain, markdown
from discover.pages.story import Story, gather
from foundry.chips import fitted, registry
from foundry.chips.device import device_of
from foundry.judge.verdict import Status
from foundry.store.records import PREDICTIONS
from foundry.store.tables import models

NASTY = "</script><script>alert(1)</script> & <b>bold</b>"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


def story(stage: Stage) -> Story:
    answers = [
        f"Less traffic. {NASTY}\n```metal\n{scored(2.0)}```",
        f"Wrong on purpose.\n```metal\n{failing(Status.WRONG_RESULT)}```",
        f"```metal\n{scored(3.0)}```",
        "No kernel today.",
    ]
    roots = [scored(1.0), scored(1.5)]
    settings = {"op": "twice", "dtype": "float32", "proposers": ["scripted"]}
    run = stage.store.runs()[0]
    stage.run_id = stage.store.begin_run("search", "test", settings, 0, run.device)
    stage.search([Scripted(answers)], ScriptedJudge(), Limits(evaluations=6), roots=roots)
    found = next(r for r in stage.store.runs() if r.id == stage.run_id)
    return gather(stage.store, summarise(stage.store, found))


def large_story(stage: Stage) -> Story:
    """The same search, grown to 20,000 nodes."""
    told = story(stage)
    nodes = [told.seen[1]] + [
        type(one)(
            type(one.node)(**{**vars(one.node), "id": i, "parent": (i - 1) // 3}),
            one.label, one.evaluation, one.text, one.parent_text, one.calls,
        )
        for i in range(1, 20_000)
        for one in [told.seen[2 + i % 4]]
    ]  # fmt: skip
    return Story(told.summary, tuple(nodes), told.best, told.start, told.steps, told.failures)


def details(text: str) -> list[dict[str, Any]]:
    packed = re.findall(r'<script type="text/plain" id="chunk-\d+-\d+">([^<]+)<', text)
    return [one for chunk in packed for one in json.loads(gzip.decompress(base64.b64decode(chunk)))]


def test_the_page_holds_the_whole_search(stage: Stage) -> None:
    told = story(stage)
    text = page([told], "Search of twice")
    assert told.gain_us == pytest.approx(20 / 1.5 - 20 / 3)
    for words in ("Search of twice", "saved over the best start", "6.67 us", "wrong_result"):
        assert words in text
    assert len(re.findall("<svg", text)) == 3
    nodes = details(text)
    assert len(nodes) == len(told.seen) == 6
    assert any("-out[0] = x[0] * 2" in one.get("diff", "") for one in nodes)
    assert any(one.get("prompt") for one in nodes)
    assert sum("no kernel file" in one.get("why", "") for one in nodes) == 1
    assert any(NASTY in one.get("answer", "") for one in nodes)


def test_nothing_of_a_model_becomes_markup_and_nothing_is_fetched(stage: Stage) -> None:
    told = story(stage)
    text = page([told], f"Search {NASTY}")
    assert "<script>alert" not in text
    assert "<b>bold" not in text
    assert text.count("</script>") == text.count("<script")
    assert not re.search(
        r"""(?:src|href)\s*=|https?://|url\(|@import""", text.split("chunk-0-0")[0]
    )
    assert "default-src 'none'" in text
    tree = json.loads(re.search(r'id="trees">(.*?)</script>', text)[1])  # type: ignore[index]
    assert tree[0]["id"] == [one.node.id for one in told.seen]


def test_markdown_says_the_same(stage: Stage) -> None:
    text = markdown([story(stage)], "Search of twice")
    assert "## twice float32" in text
    assert "- saved over the best start: 6.67 us" in text
    assert "| wrong_result | 1 |" in text
    assert "The best against its parent:\n\n```diff" in text
    assert "The best against the best start:\n\n```diff" in text


def test_what_was_predicted_is_on_the_page_and_nothing_measured_is(stage: Stage) -> None:
    told = story(stage)
    chip = device_of(registry.get("m1"), fitted.built_in(), stage.device)
    fields = {
        "predicted_us": 40.0, "low_us": 20.0, "high_us": 80.0, "bound": "memory",
        "sentences": ["x"], "template_us": 60.0, "apart": 1.25,
    }  # fmt: skip
    assert told.best is not None
    assert told.best.evaluation is not None
    said = told.best.evaluation.model_copy(
        update={"timings": (), "extra": {PREDICTIONS: {"w": {"m1": fields}}}}
    )
    summary = replace(
        told.summary, run=replace(told.summary.run, device=chip), best=None, start=None,
        front=(Found(told.best.node, said),),
    )  # fmt: skip
    predicted = replace(told, summary=summary, best=None, start=None, steps=())
    for text in (page([predicted], "Search"), markdown([predicted], "Search")):
        assert "predicted 40.0 us (20.0 to 80.0), bound by memory" in text
        assert "1.50x" in text
        assert said.kernel_hash[:8] in text
        assert "best start" not in text


def test_what_an_earlier_judge_found_is_told_as_such(stage: Stage) -> None:
    before = story(stage)
    assert not before.summary.outdated
    with stage.store.connected(writing=True) as connection:
        for table in (models.runs, models.evaluations):
            connection.execute(update(table).values(judge_version=1))
    run = next(run for run in stage.store.runs() if run.id == stage.run_id)
    after = gather(stage.store, summarise(stage.store, run))
    assert after.gain_us == before.gain_us
    assert after.summary.statuses == before.summary.statuses
    for text in (page([after], "Search"), markdown([after], "Search")):
        assert "judged by version 1 of the judge" in text
        assert f"discover export {run.id} --what best -o FILE" in text


def test_a_fence_in_a_kernel_ends_none_of_the_text(stage: Stage) -> None:
    told = story(stage)
    assert told.best is not None
    other = replace(told.best, text=f"{told.best.text}// ```\n# A heading\n")
    text = markdown([replace(told, best=other)], "Search")
    assert "````diff" in text


def test_charts_stay_within_their_frame() -> None:
    chart = svg.stairs([(1, 1.0), (5, 2.0), (9, 3.0)], "evaluations", "speedup")
    numbers = [
        float(n) for n in re.findall(r"[MHV ](\d+(?:\.\d+)?)", chart.split('class="line"')[1])
    ]
    assert all(0 <= n <= svg.WIDTH for n in numbers)
    assert svg.Scale(0.0, 6.0, 0, 1).ticks() == [0, 2, 4, 6]
    assert svg.Scale(0.0, 3.15, 0, 1).ticks() == [0, 1, 2, 3]
    assert svg.Scale(0.0, 0.018, 0, 1).ticks() == pytest.approx([0, 0.005, 0.01, 0.015])
    assert svg.stairs([(1, 1.0)], "x", "y") == ""
    assert svg.roofline([svg.Mark(0.0, 1.0, "no work")], []) == ""
    assert "best, a: 1 us" in svg.roofline([svg.Mark(0.25, 30.0, "best, a: 1 us")], [(0.25, 60.0)])


@pytest.mark.slow
def test_a_page_of_20_000_nodes_is_quick_to_write_and_small(stage: Stage) -> None:
    large = large_story(stage)
    text = page([large], "Large")
    assert len(text) < 12_000_000
    assert len(details(text)) == 20_000


def test_a_models_words_are_no_tag_and_no_link_in_markdown() -> None:
    said = "see [report](https://evil) ![x](y) <img src=z>\nand more"
    assert _plain(said) == r"see [report]\(https://evil) ![x]\(y) \<img src=z> and more"
