"""What says what is right on large workloads: an oracle that fails, is slow, or meets NaN there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foundry.errors import EnvironmentUnusable, NoAnswer
from foundry.harness.processes.pool import WorkerPool
from foundry.judge import Judge, JudgeOptions
from foundry.judge.candidate import Candidate, Failed
from foundry.judge.oracle import pace
from foundry.judge.oracle.draws import nonfinite
from foundry.judge.oracle.draws.distributions import MIXED
from foundry.judge.oracle.pace import Answered, Paces, work
from foundry.judge.oracle.references import References
from foundry.judge.oracle.workloads.far import far_workloads
from foundry.judge.oracle.workloads.swept import (
    aligned_remainders,
    ratios,
    remainders,
    squares,
    vector_remainders,
)
from foundry.judge.proof import sweep
from foundry.judge.proof.allowance import Allowance, Allowances, OracleAllowance
from foundry.judge.sources import groups_of
from foundry.judge.verdict import Status
from foundry.kernel import parse
from ops import Case, get
from ops.registry import load_file
from ops.spec import Op
from ops.workload import Workload
from templates import default, for_op, render

SOFTMAX = get("softmax")
USER_OP = """
from ops import Case, Op, Tensor, axes
from ops.families.rows.softmax import softmax_rows


def oracle(inputs, workload):
    {before}
    return (softmax_rows(inputs["x"]),)


mine = Op(
    name="{name}", family="user", formula="softmax", axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")),), outputs=(Tensor("out", ("rows", "cols")),),
    oracle=oracle, baselines={{"mlx": "mx.softmax(x, axis=-1)"}}, flops="rows * cols",
    visible=(Case({{"rows": 2, "cols": 3}}), Case({{"rows": 4, "cols": 900}})),
    hidden=(Case({{"rows": 3, "cols": 5}}),),
    bench=(Case({{"rows": 64, "cols": 2048}}, label="mine"),),
)
"""
RIGHT = """/*kernel
op = "{name}"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
//right
"""


def sized(rows: int) -> Workload:
    return SOFTMAX.workload(Case({"rows": rows, "cols": 100}), "float32")


def user_op(folder: Path, name: str, before: str) -> Op:
    file = folder / f"{name}.py"
    file.write_text(USER_OP.format(name=name, before=before))
    return load_file(file)[0]


def test_a_forecast_of_an_oracle_grows_as_its_time_did() -> None:
    known = Paces()
    assert known.forecast_s(SOFTMAX, sized(1000)) == 0.0
    known.add("softmax", Answered(work(SOFTMAX, sized(10)), 0.01))
    assert known.forecast_s(SOFTMAX, sized(1000)) == pytest.approx(1.0)
    assert known.forecast_s(SOFTMAX, sized(1)) == pytest.approx(0.01)
    known.add("softmax", Answered(work(SOFTMAX, sized(100)), 1.0))
    assert known.forecast_s(SOFTMAX, sized(1000)) == pytest.approx(100.0)


def test_what_takes_no_time_says_nothing_of_growth() -> None:
    known = Paces()
    known.add("softmax", Answered(1, 1e-5))
    known.add("softmax", Answered(work(SOFTMAX, sized(100)), 0.1))
    assert known.forecast_s(SOFTMAX, sized(1000)) == pytest.approx(1.0)


def test_a_slow_oracle_is_not_asked_where_it_need_not_be() -> None:
    known = Paces()
    known.add("softmax", Answered(work(SOFTMAX, sized(1)), 1.0))
    with (
        pytest.raises(NoAnswer, match="would take about"),
        known.asked(SOFTMAX, sized(100), at_any_cost=False),
    ):
        pass
    with known.asked(SOFTMAX, sized(100), at_any_cost=True):
        pass


def test_an_oracle_that_fails_far_out_is_told_of(pool: WorkerPool, tmp_path: Path) -> None:
    op = user_op(tmp_path, "fails_far", "assert inputs['x'].shape[1] < 50_000, 'too long'")
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=60.0))
    with pytest.raises(EnvironmentUnusable, match=r"oracle of fails_far fails.*too long"):
        judge.evaluate(RIGHT.format(name="fails_far"), op, "float32", 3)


def test_a_slow_oracle_ends_what_is_proven(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST_S", 0.03)
    op = user_op(tmp_path, "loops", "sum(i * i for i in range(3 * inputs['x'].size))")
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=60.0))
    found = judge.evaluate(RIGHT.format(name="loops"), op, "float32", 3)
    assert found.status.passed, found.why
    assert found.proven is not None
    assert found.proven.axes["cols"][1] < 1 << 16


def test_a_slow_oracle_leaves_a_large_timed_workload_out_and_says_so(
    pool: WorkerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST_S", 0.001)
    slow = user_op(tmp_path, "slow_bench", "sum(range(inputs['x'].size))")
    op = replace(slow, bench=(Case({"rows": 640, "cols": 2048}, label="large"),))
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=True))
    found = judge.evaluate(RIGHT.format(name="slow_bench"), op, "float32", 3)
    assert found.status is Status.CORRECT, found.why
    assert found.timings == ()
    assert "would take about" in found.why
    assert found.proven is not None
    assert found.proven.axes["cols"][1] < 2048


def test_a_kernel_that_builds_slowly_is_right_and_its_record_says_what_is_left_out(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_LEAST_S", 1e-6)
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=1e-6))
    found = judge.evaluate(RIGHT.format(name="softmax"), SOFTMAX, "float32", 3)
    assert found.status is Status.CORRECT, found.why
    assert "each remainder of 32" in found.why


def test_a_sweep_without_answers_is_told_and_its_kernel_is_not_called_faster(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST_S", 1e-9)
    judge = Judge(pool, JudgeOptions(sanitizer=None, timed=False, reach_s=1.0))
    found = judge.evaluate(RIGHT.format(name="softmax"), SOFTMAX, "float32", 3)
    assert found.status is Status.CORRECT, found.why
    assert "nothing says what is right on" in found.why
    assert "not called faster" in found.why


def test_values_alone_say_nothing_of_what_bounds_take(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MOST_S", 1e-9)
    references = References(pool)
    assert references.values(SOFTMAX, sized(50), "normal", 1).whole
    with pytest.raises(NoAnswer):
        references.values(SOFTMAX, sized(60), "normal", 1)
    assert references.get(SOFTMAX, sized(70), "normal", 1, sampled=True).expected


def test_a_sweep_ends_where_its_budget_does_and_tells_what_it_left_out() -> None:
    course = sweep._Course(Allowances(Allowance(10.0), OracleAllowance(0.0)))
    course.allowances.kernel.spend(9.0)
    assert not course.is_over
    course.allowances.kernel.spend(1.0)
    assert course.is_over
    course.held, course.unanswered = 3, 2
    assert "nothing says what is right on 2 " in course.left_out(5)
    assert course.left_out(9).count("on 4 and nothing") == 1
    course.unanswered = 0
    assert course.left_out(3) == ""


def test_oracles_without_time_leave_large_sizes_unproven(pool: WorkerPool) -> None:
    options = JudgeOptions(sanitizer=None, timed=False, reach_s=60.0, oracle_s=0.0)
    found = Judge(pool, options).evaluate(RIGHT.format(name="softmax"), SOFTMAX, "float32", 3)
    assert found.status is Status.CORRECT, found.why
    assert "nothing says what is right on" in found.why
    assert found.proven is not None
    assert found.proven.axes["cols"][1] < 1 << 16


def test_sizes_that_share_a_build_are_swept_first() -> None:
    op = get("topk")
    (template, *_) = for_op("topk")
    candidate = Candidate("", op, "float32", 1)
    candidate.kernel = parse(render(template, default(template)))
    bound = sweep._targets(candidate, is_whole=True)
    assert not isinstance(bound, Failed)
    ordered = sweep._ordered(bound, 1)
    numbers = groups_of([target.program for target in ordered])
    served = [numbers.count(number) for number in numbers]
    assert served == sorted(served, reverse=True)
    assert served[0] > served[-1] == 1
    assert ordered != sweep._ordered(bound, 2)


def test_large_workloads_meet_nan_and_say_what_comes_of_it(pool: WorkerPool) -> None:
    workload = SOFTMAX.workload(Case({"rows": 4, "cols": 70_000}), "float32")
    found = References(pool).get(SOFTMAX, workload, nonfinite.NAN, 7, sampled=True)
    assert np.isnan(found.inputs["x"]).any()
    assert not found.whole
    (want,) = found.expected
    good = {"out": np.array(found.baseline["out"])}
    assert want.compare(good["out"]).fault is None
    assert want.compare(np.nan_to_num(good["out"])).fault is not None


def test_one_of_the_distributions_is_dealt_and_chance_says_which() -> None:
    names = {nonfinite.one_of(SOFTMAX, sized(3), seed) for seed in range(20)}
    assert names == {("nan",), ("infinite",)}
    assert nonfinite.one_of(get("topk"), get("topk").workloads("visible", "float32")[0], 1) == ()
    assert MIXED not in nonfinite.DRAWS


@pytest.mark.parametrize("name", ["softmax", "matmul", "attention", "kv_append"])
def test_every_remainder_of_32_lanes_is_met_by_every_axis(name: str) -> None:
    op = get(name)
    found = remainders(op, "float32")
    for axis in (axis.name for axis in op.axes if not axis.compiled):
        assert {w.axes[axis] % 32 for w in found if w.axes[axis] >= 32} == set(range(32)), axis


def test_axes_that_are_multiples_of_others_are_many_times_as_long() -> None:
    found = ratios(get("attention_dkdv"), "float32")
    heads = {w.axes["heads"] // w.axes["kv_heads"] for w in found}
    assert {5, 9, 16, 64} <= heads
    assert {w.axes["kv_heads"] for w in found} >= {1, 2}
    assert ratios(SOFTMAX, "float32") == ()
    assert ratios(get("rope_interleaved"), "float32") == (), "an even axis is no multiple of others"


def test_a_long_axis_has_many_places_beyond_16_bits_where_that_is_affordable() -> None:
    for seed in range(5):
        longest = max(w.axes["rows"] for w in far_workloads(get("expert_choice"), "float32", seed))
        assert longest > 1.4 * (1 << 16)


def test_every_remainder_of_64_follows_a_pass_of_vectors_along_axes_that_are_reduced() -> None:
    found = vector_remainders(SOFTMAX, "float32", 3)
    assert {w.axes["cols"] % 64 for w in found if w.axes["cols"] >= 128} == set(range(64))
    assert vector_remainders(get("silu"), "float32", 3) == ()


def test_long_rows_are_multiples_of_every_small_power_of_two_alone() -> None:
    for seed in range(5):
        sizes = [w.axes["cols"] for w in aligned_remainders(SOFTMAX, "float32", seed)]
        assert sorted(size & -size for size in sizes) == [2, 4, 8, 16, 32, 64, 128]
        assert min(sizes) > 1 << 12


def test_what_is_far_is_odd_and_keeps_the_multiples_of_its_axis() -> None:
    for seed in range(5):
        assert all(max(w.axes.values()) % 2 for w in far_workloads(SOFTMAX, "float32", seed)[:2])
    packed = get("dequantize_4bit")
    step = next(axis.multiple_of for axis in packed.axes if axis.name == "cols")
    most = max(w.axes["cols"] for w in far_workloads(packed, "float32", 1))
    assert most > 1 << 16
    assert most % step == 0


def test_what_is_far_has_three_places_of_other_axes() -> None:
    shards = get("zigzag_permute")
    long = next(w for w in far_workloads(shards, "float32", 1) if w.axes["each"] > 1 << 16)
    assert long.axes["shards"] >= 3


def test_every_two_axes_are_equal_somewhere() -> None:
    found = squares(get("matmul"), "float32")
    sizes = {
        (a, b): {w.axes[a] for w in found if w.axes[a] == w.axes[b]} for a, b in ("mn", "mk", "nk")
    }
    assert all(len(known) >= 4 for known in sizes.values())


@pytest.mark.parametrize("sizes_of", [remainders, squares])
def test_sizes_meet_optional_inputs_given_and_not(
    sizes_of: Callable[[Op, str], tuple[Workload, ...]],
) -> None:
    found = sizes_of(get("swiglu_packed"), "float32")
    absent = sum(bool(w.absent) for w in found)
    assert 0 < absent < len(found)
    assert len(found) / 4 <= absent <= 3 * len(found) / 4
