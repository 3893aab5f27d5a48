"""What an op draws for itself holds the values by which its wrong kernels are told."""

from __future__ import annotations

from foundry.judge.oracle.inputs import make_inputs
from foundry.program import Arrays
from ops import Case, get


def _inputs(op: str, seed: int, **axes: int) -> Arrays:
    workload = get(op).workload(Case(axes), "float32")
    return make_inputs(get(op), workload, "normal", seed)


def test_some_factors_are_zero_and_most_rows_have_none() -> None:
    is_zero = _inputs("cumprod_vjp", 1, rows=400, cols=50)["x"] == 0.0
    assert 0.1 < is_zero.any(axis=-1).mean() < 0.4


def test_every_other_row_of_a_router_has_equal_logits_and_biases_are_none_now_and_then() -> None:
    sizes = {"rows": 8, "groups": 4, "width": 8, "kept": 2, "k": 4}
    drawn = [_inputs("router_sigmoid_groups", seed, **sizes) for seed in range(20)]
    assert all(len(set(row)) <= 5 for given in drawn for row in given["x"][1::2])
    assert all(len(set(row)) > 20 for given in drawn for row in given["x"][::2])
    assert 4 < sum(not given["bias"].any() for given in drawn) < 16
