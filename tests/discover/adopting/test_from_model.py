"""Models as something to search: their ops, shares, bounds, and where evaluations go."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from searching import Scripted, ScriptedJudge, SimulatedTime, Stage, drafts, scored

from discover.autorun.autorun import check_recipe, run_autorun, settings
from discover.autorun.models import (
    given_way,
    of_model,
    ops_of,
    plain_recipe,
    read_model,
    rows,
    shapes_of,
    shares_of,
)
from discover.autorun.recipe import Elsewhere, ModelRecipe, Recipe
from discover.autorun.shapes import MOST_SHAPES
from discover.autorun.standing import SLICE, Standing
from discover.autorun.steps import decode, prefill
from discover.autorun.tables import Shapes
from discover.autorun.whole import next_op
from discover.budget.limits import Limits, Spend
from discover.search.session import checked_op, journal_of
from discover.search.settings import SearchRequest, SearchSettings
from discover.search.task import Outcome
from discover.search.watch import Silent, State, Watch
from discover.search.workbench import Workbench
from foundry.errors import UsageError
from foundry.judge.options import NOBODY, Rivals, bench_workloads
from foundry.judge.verdict import Evaluation

LLAMA = {
    "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
    "intermediate_size": 8192, "num_hidden_layers": 16, "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.store.close()


class SlowJudge(ScriptedJudge):
    """Takes its time, of a clock that is simulated."""

    SECONDS = 30.0

    def __init__(self, clock: SimulatedTime) -> None:
        super().__init__()
        self._clock = clock

    def __call__(self, text: str, seed: int, rivals: Rivals = NOBODY) -> Evaluation:
        self._clock.pass_(self.SECONDS)
        return super().__call__(text, seed, rivals)


def config(folder: Path, **more: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(LLAMA | more))
    return path


def standing(op: str, rewards: list[float], above_floor: float | None = 4.0) -> Standing:
    best = tuple(itertools.accumulate(rewards, max))
    return Standing(op, "float32", len(rewards), above_floor=above_floor, best=best)


def test_a_decode_step_is_the_weights_of_the_model(tmp_path: Path) -> None:
    shape = read_model(config(tmp_path))
    found = shares_of(shape, "bfloat16", 100.0, 10_000.0)
    assert found[0].op == "matmul"
    assert found[0].decode > 0.9
    assert sum(one.decode for one in found) == pytest.approx(1)
    assert sum(one.prefill for one in found) == pytest.approx(1)
    weights = sum(
        c.count * c.workload.axes["n"] * c.workload.axes["k"]
        for c in decode(shape, "bfloat16")
        if c.op == "matmul"
    )
    assert weights == pytest.approx(1.2357e9, rel=1e-3)


def test_the_bound_is_amdahls(tmp_path: Path) -> None:
    for one in shares_of(read_model(config(tmp_path)), "bfloat16", 100.0, 10_000.0):
        assert one.bound == pytest.approx(1 / (1 - one.decode))
        assert one.bound >= 1


def test_prefill_works_on_many_tokens_at_once(tmp_path: Path) -> None:
    shape = read_model(config(tmp_path))
    one, many = decode(shape, "float32"), prefill(shape, "float32")
    time = [sum(c.roofline_us(100.0, 1000.0) for c in calls) for calls in (one, many)]
    assert time[1] > 3 * time[0]


def test_packed_weights_and_experts(tmp_path: Path) -> None:
    packed = config(tmp_path, quantization={"bits": 4, "group_size": 64})
    assert "qmm_4bit" in ops_of(read_model(packed), "bfloat16")
    sparse = config(tmp_path, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=1024)
    calls = {
        (c.op, c.workload.axes.get("n")): c.count for c in decode(read_model(sparse), "float32")
    }
    assert calls["matmul", 1024] == 16 * 2 * 2


def test_a_recipe_is_named_after_its_model(tmp_path: Path) -> None:
    folder = tmp_path / "Llama 3.2 1B"
    folder.mkdir()
    config(folder)
    recipe = plain_recipe(folder)
    assert recipe.name == "Llama-3.2-1B"
    assert recipe.dtypes == ("bfloat16",)
    assert recipe.total.evaluations == 3 * SLICE * len(recipe.ops)
    assert plain_recipe(folder / "config.json") == recipe
    assert len(rows(shares_of(read_model(folder), "bfloat16", 100.0, 1e4))) == len(recipe.ops)


@pytest.mark.parametrize("text", ["{}", "no json", '{"hidden_size": 0, "num_attention_heads": 1}'])
def test_what_is_no_model_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UsageError, match="no configuration of a transformer"):
        read_model(tmp_path)


def test_evaluations_go_where_the_whole_gains_most() -> None:
    weights = {"matmul": 0.9, "rms_norm": 0.1}
    assert next_op(weights, []) == "matmul"
    far = standing("matmul", [1.0] * SLICE)
    assert next_op(weights, [far]) == "matmul"
    long = standing("matmul", [1.0 + 0.1 * i for i in range(20 * SLICE)])
    assert next_op(weights, [long]) == "rms_norm"
    near = standing("matmul", [1.0] * SLICE, above_floor=1.2)
    assert near.done == "it is at its roofline"
    assert next_op(weights, [near]) == "rms_norm"


def test_an_op_that_is_flat_is_done() -> None:
    rising = [1.0 + 0.02 * i for i in range(3 * SLICE)]
    assert standing("matmul", rising).done == ""
    flat = standing("matmul", [1.0] * SLICE + [0.5] * (2 * SLICE))
    assert flat.done.startswith("the last 40 kernels")
    assert next_op({"matmul": 1.0}, [flat]) is None
    assert next_op({}, []) is None


def test_an_op_that_cannot_be_timed_here_is_done() -> None:
    small = Standing("rms_norm", "float32", 3, untimed=True)
    assert "too small to be timed" in small.done
    assert next_op({"rms_norm": 0.9, "matmul": 0.1}, [small]) == "matmul"


def test_ops_are_searched_where_the_model_spends_its_time(tmp_path: Path) -> None:
    found = shapes_of(read_model(config(tmp_path)), "bfloat16", 100.0, 10_000.0)
    times = {
        tuple(c.workload.axes.values()): c.roofline_us(100.0, 10_000.0)
        for c in decode(read_model(config(tmp_path)), "bfloat16")
        if c.op == "matmul"
    }
    chosen = [times[tuple(shape.values())] for shape in found["matmul"]]
    assert len(chosen) <= MOST_SHAPES
    assert chosen == sorted(times.values(), reverse=True)[: len(chosen)]
    # A row of 2,048 takes no time at all: it is searched where it takes some.
    assert found["rms_norm"] == ({"rows": 512, "cols": 2048},)
    assert set(found) == set(ops_of(read_model(config(tmp_path)), "bfloat16"))


def test_a_search_times_the_shapes_it_is_given_and_no_others() -> None:
    shapes = ({"rows": 3, "cols": 96}, {"rows": 1, "cols": 2048})
    request = SearchRequest(
        "softmax", "float32", Limits(), "", SearchSettings(bench="full"), shapes=shapes
    )
    timed = bench_workloads(checked_op(request), "float32", "full")
    assert [dict(workload.axes) for workload in timed] == list(shapes)
    assert [workload.label for workload in timed] == ["rows 3 cols 96", "rows 1 cols 2048"]
    plain = replace(request, shapes=())
    assert "shapes" not in plain.key()
    assert request.key()["shapes"] == [dict(shape) for shape in shapes]
    with pytest.raises(UsageError, match="did you mean rows"):
        checked_op(replace(request, shapes=({"row": 3, "cols": 1},)))


def test_a_recipes_own_shapes_tell_autoruns_apart() -> None:
    plain = Recipe(name="x", ops=("softmax",))
    assert "shapes" not in settings(plain)
    there = plain.model_copy(update={"shapes": {"softmax": ({"rows": 1, "cols": 8},)}})
    assert settings(there)["shapes"] == {"softmax": [{"rows": 1, "cols": 8}]}


def at_rates(folder: Path, gb_s: float, gflops: float, **more: object) -> ModelRecipe:
    """The recipe of a model, as a start that measured these rates makes it."""
    path = config(folder, **more)
    shape, recipe = read_model(path), plain_recipe(path)
    chosen = shapes_of(shape, recipe.dtypes[0], gb_s, gflops)
    weights = {s.op: s.decode for s in shares_of(shape, recipe.dtypes[0], gb_s, gflops)}
    return of_model(recipe, shape, weights, chosen)


def test_rates_that_are_measured_anew_tell_no_autoruns_of_a_model_apart(tmp_path: Path) -> None:
    now, later = at_rates(tmp_path, 100.0, 10_000.0), at_rates(tmp_path, 20_000.0, 10_000.0)
    assert now.steps != later.steps
    assert now.weights != later.weights
    assert settings(now) == settings(later)
    other = at_rates(tmp_path, 100.0, 10_000.0, num_hidden_layers=17)
    assert settings(other) != settings(now)
    chip = now.model_copy(update={"elsewhere": Elsewhere(chip="m4-max")}).of_chip()
    assert chip is not None
    assert chip.shapes_of("matmul") == now.steps["matmul"]


def test_an_autorun_of_a_model_goes_on_at_the_shapes_it_was_begun_at(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[SearchRequest, int, bool]] = []

    def killed(limits: Limits) -> None:
        raise KeyboardInterrupt

    @contextmanager
    def opened(bench: Workbench, request: SearchRequest, *_: object) -> Iterator[object]:
        journal, is_earlier = journal_of(bench, request)
        asked.append((request, journal.run_id, is_earlier))
        yield SimpleNamespace(go_on=killed)

    monkeypatch.setattr("discover.autorun.autorun.open_search", opened)
    seat = SimpleNamespace(device=stage.device)
    bench = cast(Workbench, SimpleNamespace(store=stage.store, seat=seat, prices={}))
    for rates in ((100.0, 10_000.0), (20_000.0, 10_000.0)):
        with pytest.raises(KeyboardInterrupt):
            run_autorun(bench, at_rates(tmp_path, *rates), "again", [], Silent())
    (first, run_id, _), (second, again, is_earlier) = asked
    assert (again, is_earlier) == (run_id, True)
    assert second.shapes == first.shapes == at_rates(tmp_path, 100.0, 10_000.0).steps[first.op]
    assert [run.kind for run in stage.store.runs()].count("autorun") == 1


def test_the_end_of_a_search_is_told_once(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rests(name: str, limits: Limits) -> Outcome:
        most = limits.evaluations or 0
        state = State(name, most, limits, Spend(), Spend(), 1.0, {}, None, depth=0)
        return Outcome(1, None, None, state, f"evaluations: {most}", by_budget=True)

    @contextmanager
    def opened(bench: Workbench, request: SearchRequest, *_: object) -> Iterator[object]:
        journal_of(bench, request)
        yield SimpleNamespace(go_on=lambda limits: rests(request.name, limits), rewards=list)

    monkeypatch.setattr("discover.autorun.autorun.open_search", opened)
    seat = SimpleNamespace(device=stage.device)
    bench = cast(Workbench, SimpleNamespace(store=stage.store, seat=seat, prices={}))
    asked = at_rates(tmp_path, 100.0, 10_000.0).model_copy(update={"total": Limits(evaluations=10)})
    run_autorun(bench, asked, "again", [], stage)
    ended = [line for line in stage.events if " ended: " in line]
    assert len(ended) == 1
    assert ended[0].endswith("ended: evaluations: 10")


def test_a_night_that_goes_on_shows_what_the_ones_before_did(stage: Stage) -> None:
    recipe = Recipe(name="x", ops=("silu",))
    night = stage.store.begin_run("autorun", "x", settings(recipe), 0, stage.device)
    part = {"op": "silu", "dtype": "float32", "part_of": f"autorun {night}"}
    stage.run_id = stage.store.begin_run("search", "x", part, 0, stage.device)
    llm = Scripted([scored(2.0), scored(3.0)])
    done = stage.search([llm], ScriptedJudge(), Limits(evaluations=3), roots=[scored(1.0)])
    stage.store.finish_run(stage.run_id, "done")
    stage.store.finish_run(night, "interrupted")
    shown: list[State] = []
    watch = SimpleNamespace(changed=shown.append, event=lambda line: None)
    seat = SimpleNamespace(device=stage.device)
    bench = cast(Workbench, SimpleNamespace(store=stage.store, seat=seat, prices={}))
    assert run_autorun(bench, recipe, "again", [], cast(Watch, watch)).resumed
    (state,) = shown
    assert (state.name, state.evaluations, state.earlier) == ("silu float32", 3, 3)
    assert state.spent == done.state.spent
    assert state.earlier_s == state.elapsed_s


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_fault_of_one_search_ends_no_night(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, everywhere: bool
) -> None:
    searched: list[str] = []

    def fails(bench: Workbench, request: SearchRequest, *_: object) -> Outcome:
        searched.append(request.op)
        state = State(request.name, 1, request.limits, Spend(), Spend(), 1.0, {}, None, depth=0)
        fault = f"m: answers on {request.op} are too long"
        return Outcome(
            1, None, None, state, fault, broken=fault, broken_everywhere=everywhere
        )  # fmt: skip

    monkeypatch.setattr("discover.autorun.autorun.run_search", fails)
    seat = SimpleNamespace(device=stage.device)
    bench = cast(Workbench, SimpleNamespace(store=stage.store, seat=seat, prices={}))
    done = run_autorun(bench, Recipe(name="x", ops=("softmax", "silu")), "again", [], stage)
    assert searched == (["softmax"] if everywhere else ["softmax", "silu"])
    assert str(done.broken).count("too long") == len(searched)
    assert stage.store.runs()[-1].outcome == "interrupted", "the same command goes on"


def test_a_recipe_keeps_its_own_shapes_and_hears_what_gives_way(tmp_path: Path) -> None:
    mine: dict[str, Shapes] = {"matmul": ({"m": 3, "n": 64, "k": 64},)}
    path = config(tmp_path)
    asked = Recipe(name="x", ops=("silu",), bench="quick", weights={"silu": 1.0}, shapes=mine)
    assert [line.split()[0] for line in given_way(asked)] == ["bench", "[weights]"]
    assert list(given_way(plain_recipe(path))) == []
    found = of_model(asked, read_model(path), {"matmul": 1.0}, at_rates(tmp_path, 1.0, 1.0).steps)
    assert found.shapes_of("matmul") == mine["matmul"]
    assert found.shapes_of("rms_norm") == found.steps["rms_norm"]
    assert found.shapes_of("softmax") == ()
    assert settings(found)["shapes"] == {"matmul": [{"m": 3, "n": 64, "k": 64}]}


def test_what_no_search_can_begin_with_is_told_before_the_first() -> None:
    plain = Recipe(name="x", ops=("softmax", "silu"))
    for more in ({"shapes": {"silu": ({"m": 1},)}}, {"bench": "llama-9 decode"}):
        with pytest.raises(UsageError, match="silu|softmax"):
            check_recipe(plain.model_copy(update=more), [], {})


def test_a_search_that_rests_goes_on_with_what_it_knows(stage: Stage) -> None:
    llm = Scripted([scored(1 + i / 9, f" int s{i};") for i in range(40)])
    clock, roots = SimulatedTime(), [scored(1.0)]
    judge = SlowJudge(clock)
    opened = stage.opened([llm], judge, Limits(evaluations=8), clock=clock)
    opened.take_up(drafts(roots), None)
    first = opened.go_on(Limits(evaluations=8))
    clock.pass_(3600.0)
    second = opened.go_on(Limits(evaluations=20))
    assert (first.by_budget, second.by_budget) == (True, True)
    assert second.state.evaluations == 20
    assert judge.texts.count(roots[0]) == 1
    assert len(opened.rewards()) == len(set(judge.texts)) == 20
    assert first.state.elapsed_s == pytest.approx(8 * judge.SECONDS, abs=1)
    assert second.state.elapsed_s == pytest.approx(20 * judge.SECONDS, abs=1)


def test_a_proposer_without_room_is_asked_again_with_a_larger_budget(stage: Stage) -> None:
    llm = Scripted([scored(1 + i / 9, f" int u{i};") for i in range(40)])
    opened = stage.opened([llm], ScriptedJudge(), Limits(tokens=2000))
    opened.take_up(drafts([scored(1.0)]), None)
    before = opened.go_on(Limits(tokens=2000)).state.spent.tokens
    assert opened.go_on(Limits(tokens=4000)).state.spent.tokens > 1.5 * before
