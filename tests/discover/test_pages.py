"""The page of the morning: everything in it, nothing that escapes, and small however large."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from searching import Scripted, ScriptedJudge, Stage, failing, scored

from discover.budget.limits import Limits
from discover.history.summary import summarise
from discover.pages import svg
from discover.pages.html import page
from discover.pages.markdown import markdown
from discover.pages.story import Story, gather
from foundry.judge.verdict import Status

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
    assert "```diff" in text


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
    told = story(stage)
    many = [told.seen[1]] + [
        type(one)(
            type(one.node)(**{**vars(one.node), "id": i, "parent": (i - 1) // 3}),
            one.label, one.evaluation, one.text, one.parent_text, one.calls,
        )
        for i in range(1, 20_000)
        for one in [told.seen[2 + i % 4]]
    ]  # fmt: skip
    large = Story(told.summary, tuple(many), told.best, told.start, told.steps, told.failures)
    text = page([large], "Large")
    assert len(text) < 12_000_000
    assert len(details(text)) == 20_000
