"""Sizes between those of the lists and what is far: axes that are long together, and alone."""

from __future__ import annotations

import itertools

import pytest

from foundry.judge.oracle.workloads.far import far_workloads
from foundry.judge.oracle.workloads.parameters import round_parameters
from foundry.judge.oracle.workloads.swept import both_long, remainders
from ops import get

SEEDS = range(4)


@pytest.mark.parametrize(
    ("op", "least"),
    [
        ("softmax", 500),
        ("resize_bilinear2x", 300),
        ("scatter_add", 200),
        ("rope", 50),
        ("matmul", 200),
    ],
)
def test_every_two_axes_are_long_together(op: str, least: int) -> None:
    axes = [axis.name for axis in get(op).axes if not axis.compiled]
    for seed in SEEDS:
        found = both_long(get(op), "float32", seed)
        for one, other in itertools.combinations(axes, 2):
            assert any(min(w.axes[one], w.axes[other]) >= least for w in found), (one, other)


@pytest.mark.parametrize(("one", "other"), [("q_len", "kv_len"), ("heads", "kv_heads")])
def test_axes_that_are_bound_to_each_other_are_long_together_too(one: str, other: str) -> None:
    found = both_long(get("attention"), "float32", 3)
    assert max(min(w.axes[one], w.axes[other]) for w in found) > 40


def test_some_of_an_axis_is_met_beside_a_long_one() -> None:
    for seed in SEEDS:
        found = both_long(get("causal_conv1d_silu"), "float32", seed)
        assert any(8 <= w.axes["width"] <= 32 and w.axes["seq"] > 100 for w in found)
        assert any(w.axes["batch"] > 1 and w.axes["seq"] > 1000 for w in found)


def test_sizes_between_the_lists_and_what_is_far_are_drawn() -> None:
    op = get("cumsum")
    known = max(case.axes["cols"] for case in (*op.visible, *op.hidden))
    for seed in SEEDS:
        found = {w.axes["cols"] for w in far_workloads(op, "float32", seed)}
        assert any(known < size < 1 << 16 for size in found)


def test_sizes_within_a_pass_of_the_lanes_are_met() -> None:
    sizes = {w.axes["cols"] for w in remainders(get("softmax"), "float32")}
    assert all(sizes & set(range(least, least + 4)) for least in range(1, 29, 4))


def test_round_values_are_tried_where_an_op_names_none() -> None:
    for seed in SEEDS:
        alphas = {w.params["alpha"] for w in round_parameters(get("add_scale"), "float32", seed)}
        assert {-1.0, 2.0} <= alphas
        named = get("add_scale").ranges["alpha"].usual
        assert alphas.isdisjoint(named)
    assert round_parameters(get("softmax"), "float32", 1) == ()


def test_integers_beyond_16_bits_that_no_power_of_two_divides_are_tried() -> None:
    found = {w.params["position"] for w in round_parameters(get("kv_append"), "float32", 5)}
    assert {65_537, 100_003} <= found
