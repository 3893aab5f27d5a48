"""Rows from one end of a half to the other, sums of nothing, quotients that fall short."""

from __future__ import annotations

import numpy as np
import pytest

from foundry.judge.options import JudgeOptions
from foundry.judge.oracle.draws.opposite import OPPOSITE, able
from foundry.judge.oracle.inputs import applicable, make_inputs
from foundry.judge.oracle.workloads.dealing import with_opposite
from foundry.judge.oracle.workloads.parameters import round_parameters
from ops import Case, get
from ops.spec import Op


def test_the_range_of_a_row_is_no_half() -> None:
    op = get("quantize_affine_8bit")
    workload = op.workload(Case({"rows": 40, "groups": 2, "group": 32}), "float16")
    given = make_inputs(op, workload, OPPOSITE, 3)["x"]
    assert np.isfinite(given).all()
    with np.errstate(over="ignore"):
        ranges = given.max(axis=-1) - given.min(axis=-1)
    assert 0.5 < np.isinf(ranges).mean() < 1.0


def test_one_input_holds_them_and_all_others_are_normal() -> None:
    op = get("layer_norm_vjp")
    workload = op.workload(Case({"rows": 40, "cols": 64}), "float16")
    given = make_inputs(op, workload, OPPOSITE, 3)
    assert sum(np.abs(given[name]).max() > 1e4 for name in able(op, workload)) == 1


def _dealt(op: Op) -> int:
    hidden = [(w, ()) for w in op.workloads("hidden", "float16")]
    names = applicable(op, JudgeOptions().distributions)
    return sum(OPPOSITE in found for _, found in with_opposite(op, hidden, names))


def test_they_are_dealt_where_rows_are_computed_with() -> None:
    assert _dealt(get("quantize_affine_8bit")) > 1
    assert _dealt(get("topk")) == _dealt(get("silu")) == 0


def test_two_parts_are_of_nothing_in_the_same_row_now_and_then() -> None:
    op = get("attention_merge")
    workload = op.workload(Case({"rows": 200, "cols": 8}), "float32")
    given = make_inputs(op, workload, "normal", 3)
    nothing = {name: np.isneginf(given[name]) for name in ("x_lse", "y_lse")}
    assert (nothing["x_lse"] & nothing["y_lse"]).any()
    assert (nothing["x_lse"] & ~nothing["y_lse"]).any()


@pytest.mark.parametrize("seed", range(8))
def test_a_length_is_tried_whose_quotients_by_its_reciprocal_fall_short(seed: int) -> None:
    found = round_parameters(get("attention_batched"), "float32", seed)
    short = [w for w in found if _falls_short(int(w.params["length"]))]
    assert any(w.axes["q_len"] > w.params["length"] for w in short)


def _falls_short(number: int) -> bool:
    wide = np.float32(number)
    return bool(wide * (np.float32(1.0) / wide) < 1.0)
