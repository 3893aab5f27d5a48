from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import toy
from searching import Scripted, ScriptedJudge, Stage, scored

from discover.autorun import autorun as night
from discover.autorun.recipe import Recipe
from discover.budget.estimate import Priced, estimate
from discover.budget.limits import Limits
from discover.budget.pricing import Price
from discover.search.second_looks import set_aside
from discover.search.session import confirmed, estimates, judged_before
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.workbench import Workbench
from foundry.chips import fitted, registry
from foundry.chips.device import device_of

DATED = Price(input=2.0, output=10.0, published=datetime.date(2026, 11, 21))


def test_what_earlier_answers_took_is_expected_and_the_bound_is_dated() -> None:
    one = Priced("anthropic m", DATED, 5000, 16_000, usual=(3000.4, 1000.0))
    (line,) = estimate([one], Limits(evaluations=54), judged=4)
    assert line == (
        "estimate: anthropic m: 50 calls, about 3,000 tokens in and 1,000 out a call, $0.80; "
        "at most $8.50 for so many, prices of 2026-11-21"
    )
    (line,) = estimate([one], Limits(evaluations=54, usd=1.25), judged=4)
    assert "never more than $1.25" in line
    (line,) = estimate([one], Limits(seconds=60), judged=4)
    assert "calls until the budget is used" in line
    assert "$0.02 a call; at most $0.17 for the first call" in line


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    (line,) = estimate([Priced("openai odd", None, 5000, 16_000)], Limits(evaluations=3), judged=4)
    assert line == (
        "estimate: openai odd: 0 calls, no answer of it is known yet; its price is unknown"
    )


def test_what_is_left_out_is_what_the_search_keeps_for_its_end() -> None:
    assert [set_aside(3, budget) for budget in (None, 100, 6, 4)] == [5, 5, 1, 0]
    assert set_aside(0, 100) == 0
    chip = device_of(registry.get("m4-max"), fitted.built_in(), toy.DEVICE)
    settings = SearchSettings()
    assert confirmed(settings, chip).confirm == 0
    assert confirmed(settings, toy.DEVICE) == settings


def test_a_search_that_goes_on_is_estimated_by_what_is_left(tmp_path: Path) -> None:
    stage, price = Stage(tmp_path), Price(input=1.0, output=2.0)
    settings = SearchSettings(proposers=("scripted",), confirm=0)
    request = SearchRequest("silu", "float32", Limits(evaluations=20), "", settings)
    stage.run_id = stage.store.begin_run("search", "x", request.key(), 0, stage.device)
    llm = Scripted([scored(1 + i / 9, f" int a{i};") for i in range(9)])
    stage.search([llm], ScriptedJudge(), Limits(evaluations=12), roots=[scored(1.0)])
    stage.store.finish_run(stage.run_id, "budget")
    seat = SimpleNamespace(device=stage.device)
    bench = cast(
        Workbench, SimpleNamespace(store=stage.store, seat=seat, prices={"model-x": price})
    )
    done = judged_before(bench, request)
    assert done == 10
    (line,) = estimates(bench, request, [llm], done)
    assert line.startswith("estimate: scripted model-x: 10 calls, about 200 tokens in and 50 out")
    assert judged_before(bench, replace(request, dtype="float16")) == 0
    stage.store.close()


def test_an_autorun_that_goes_on_counts_what_its_searches_judged(tmp_path: Path) -> None:
    stage, recipe = Stage(tmp_path), Recipe(name="x", ops=("silu",))
    seat = SimpleNamespace(device=stage.device)
    bench = cast(Workbench, SimpleNamespace(store=stage.store, seat=seat))
    assert night.judged_before(bench, recipe) == 0
    run_id = stage.store.begin_run("autorun", "x", night.settings(recipe), 0, stage.device)
    part = {"op": "silu", "dtype": "float32", "part_of": f"autorun {run_id}"}
    stage.run_id = stage.store.begin_run("search", "x", part, 0, stage.device)
    stage.search([Scripted([])], ScriptedJudge(), Limits(evaluations=1), roots=[scored(1.0)])
    assert night.judged_before(bench, recipe) == 1
    stage.store.close()
