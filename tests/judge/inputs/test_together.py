"""What is wrong only where several things meet: three long axes, inputs and parameters."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.judge.candidate import _dealt
from foundry.judge.matching import Within
from foundry.judge.matching.cut import cut_off
from foundry.judge.options import JudgeOptions
from foundry.judge.oracle.draws import coinciding
from foundry.judge.oracle.draws.coinciding import COINCIDING, NOTHING
from foundry.judge.oracle.draws.thresholds import THRESHOLDS
from foundry.judge.oracle.inputs import make_inputs
from foundry.judge.oracle.pace import work
from foundry.judge.oracle.sampling import SameOp
from foundry.judge.oracle.workloads.parameters import parameter_workloads, round_parameters
from foundry.judge.oracle.workloads.triples import MOST, three_long
from foundry.program import Arrays
from ops import get
from ops.spec import Op
from ops.workload import Case

SEEDS = range(4)
NARROW = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


@pytest.mark.parametrize("name", ["matmul", "ffn_up_swiglu", "linear_bias_gelu"])
def test_two_axes_are_long_beside_sixteen_of_the_third(name: str) -> None:
    op = get(name)
    for seed, (one, other, third) in itertools.product(SEEDS, itertools.permutations("mnk")):
        found = [w.axes for w in three_long(op, "float32", seed)]
        least = {one: 900, other: 450, third: 16}
        assert any(all(a[x] >= size for x, size in least.items()) for a in found), (seed, least)
        assert any(min(a.values()) >= 180 for a in found)


def test_rules_of_axes_are_kept_where_three_are_long() -> None:
    found = three_long(get("attention"), "float32", 3)
    assert len(found) == MOST
    assert any(w.axes["kv_heads"] > 16 and w.axes["q_len"] > 16 for w in found)
    assert three_long(get("softmax"), "float32", 3) == ()


def test_what_is_long_along_three_axes_is_affordable() -> None:
    for name in ("matmul", "attention", "causal_conv1d_silu", "rope"):
        op = get(name)
        assert max(work(op, w) for w in three_long(op, "bfloat16", 5)) <= 1 << 27


def _inputs(op: Op, distribution: str, axes: dict[str, int], **params: float) -> Arrays:
    workload = op.workload(Case(axes, params), "float32")
    return make_inputs(op, workload, distribution, 7)


def test_inputs_are_zero_large_and_of_nothing_in_the_same_places() -> None:
    once = dict.fromkeys(("heads", "kv_heads", "q_len", "kv_len"), 1)
    given = _inputs(get("attention_dq"), COINCIDING, {"batch": 200, **once, "head_dim": 8})
    nothing = given["lse"] == np.float32(NOTHING)
    assert 10 < nothing.sum() < 100
    np.testing.assert_array_equal(nothing, given["delta"] == np.float32(NOTHING))
    large = [np.abs(given[name]) > 12 for name in ("q", "dout")]
    assert (large[0] & large[1]).sum() > 0.5 * large[0].sum() > 10
    assert np.isfinite(given["q"]).all()


def test_some_inputs_are_zero_where_others_are_not() -> None:
    given = _inputs(get("adamw_step"), COINCIDING, {"rows": 64, "cols": 64})
    no_gradient = given["grad"] == 0
    assert (no_gradient & (given["moment"] == 0)).any()
    assert (no_gradient & (given["moment"] != 0)).any()


def test_an_input_alone_meets_no_other() -> None:
    for name, is_able in (("softmax", False), ("adamw_step", True), ("softmax_vjp", True)):
        op = get(name)
        assert coinciding.able(op, op.workloads("visible", "float32")[1]) is is_able


def test_nothing_is_asked_where_the_baseline_is_wrong() -> None:
    op = get("add")
    want = Within(np.ones((3, 4)), np.full((3, 4), 0.1))
    baseline = np.ones((3, 4), np.float32)
    baseline[1, 2] = 2.0
    (found,) = coinciding.stated(op, [want], {"out": baseline})
    wrong = np.ones((3, 4), np.float32)
    wrong[1] = 5.0
    assert found.compare(wrong).fault is None
    wrong[2, 0] = 5.0
    assert found.compare(wrong).fault is not None


def test_a_norm_lies_on_either_side_of_a_parameter() -> None:
    op, near = get("clip_grad_norm"), []
    for seed in range(40):
        workload = op.workload(Case({"count": 500}, {"most": 3.0}), "float32")
        given = make_inputs(op, workload, THRESHOLDS, seed)["x"].astype(np.float64)
        near.append(float(np.sqrt(np.sum(given**2))) / 3.0)
    assert sum(1.0 < size < 1.1 for size in near) >= 2
    assert sum(0.9 < size < 1.0 for size in near) >= 2


def test_what_may_be_zero_is_zero_beside_usual_values() -> None:
    op = get("adamw_step")
    alone = {"decay": 0.0}
    found = [w.params for w in parameter_workloads(op, "float32", 3)]
    cases = [{**op.params, **case.params, **alone} for case in (*op.visible, *op.hidden)]
    assert any(params in cases for params in found)


def test_integers_beyond_16_bits_meet_several_sizes() -> None:
    found = round_parameters(get("kv_append"), "float32", 5)
    assert len({w.axes["cache"] for w in found if w.params["position"] == 65_537}) > 1


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("clip_grad_norm", {THRESHOLDS}),
        ("adamw_step", {THRESHOLDS, COINCIDING}),
        ("softmax", set()),
    ],
)
def test_they_are_dealt_where_they_show(name: str, wanted: set[str]) -> None:
    _, (hidden, _), _ = _dealt(SameOp(get(name)), "float32", JudgeOptions(timed=False), 3)
    dealt = {name for _, names in hidden for name in names}
    assert dealt & {THRESHOLDS, COINCIDING} == wanted


def _sums(dtype: np.dtype[np.generic]) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((16, 64)).astype(dtype).astype(np.float64) for _ in range(2))
    return x + y


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_results_that_always_go_one_way_are_told_from_rounded_ones(
    dtype: np.dtype[np.generic],
) -> None:
    want = _sums(dtype)
    rounded = want.astype(dtype)
    assert cut_off(rounded, want) is None
    below = np.nextafter(rounded, dtype.type(-np.inf))
    down = np.where(rounded.astype(np.float64) > want, below, rounded)
    assert "down" in str(cut_off(down, want))
    above = np.nextafter(rounded, dtype.type(np.inf))
    up = np.where(rounded.astype(np.float64) < want, above, rounded)
    toward = np.where(want > 0, down.astype(np.float64), up.astype(np.float64)).astype(dtype)
    assert "toward zero" in str(cut_off(toward, want))


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_what_is_rounded_twice_is_not_cut_off(dtype: np.dtype[np.generic]) -> None:
    want = _sums(dtype)
    third = (want / 3.0).astype(dtype).astype(np.float64)
    assert cut_off((want + third).astype(dtype), want * (4.0 / 3.0)) is None
    assert cut_off(want.astype(np.float32), want) is None


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_what_a_row_shares_may_be_rounded_before(dtype: np.dtype[np.generic]) -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((8, 512)).astype(dtype).astype(np.float64)
        shared = 8.0 + rng.random((8, 1))
        rounded = shared.astype(dtype).astype(np.float64)
        assert cut_off((x - rounded).astype(dtype), x - shared) is None
        scale = 1.0 + rng.random()
        scaled = np.asarray(scale).astype(dtype).astype(np.float64)
        assert cut_off((x * scaled).astype(dtype), x * scale) is None


@pytest.mark.parametrize("shape", [(4, 0), (0, 4), (), (5,)])
def test_few_results_say_nothing(shape: tuple[int, ...]) -> None:
    assert cut_off(np.zeros(shape, np.float16), np.full(shape, 0.3)) is None


def test_an_op_that_selects_meets_rows_of_the_lowest_numbers_under_every_secret() -> None:
    op = get("topk")
    for seed in (75938208973529, 49442661718201, 84361397408917, *range(10)):
        _, (hidden, _), _ = _dealt(SameOp(op), "float32", JudgeOptions(timed=False), seed)
        count = 0
        for workload in (w for w, names in hidden if "widest" in names and w.axes["cols"]):
            given = make_inputs(op, workload, "widest", seed)["x"]
            lowest = given <= np.finfo(np.float32).min
            count += int(((~lowest).sum(axis=-1) < workload.axes["k"]).sum())
        assert count > 5, seed
