"""Arrays of size 0 are answered once: by nothing, by the oracle, or by a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import ops
from foundry.harness.measuring.baseline import BaselineCall
from foundry.judge.oracle.expecting import expected
from ops import empty
from ops.spec import Op
from ops.workload import Case, Workload


def matmul(**sizes: int) -> tuple[Op, Workload]:
    op = ops.get("matmul")
    return op, op.workload(Case(sizes), "bfloat16")


def zeros(op: Op, workload: Workload) -> dict[str, Any]:
    shapes = {t.name: [workload.axes[str(d)] for d in t.shape] for t in op.inputs}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("sizes", "nothing", "over"),
    [
        ({"m": 0, "n": 4, "k": 5}, True, False),
        ({"m": 3, "n": 4, "k": 0}, False, True),
        ({"m": 0, "n": 4, "k": 0}, True, False),
        ({"m": 3, "n": 4, "k": 5}, False, False),
    ],
)
def test_the_three_kinds(sizes: dict[str, int], nothing: bool, over: bool) -> None:
    op, workload = matmul(**sizes)
    assert empty.has_nothing_to_compute(op, workload) is nothing
    assert empty.is_over_nothing(op, workload) is over
    assert (empty.answer(op, workload, zeros(op, workload)) is None) is not (nothing or over)


def refuses(*_: Any) -> Any:
    raise AssertionError("called with an empty array")


def test_nothing_to_compute_calls_neither_oracle_nor_baseline() -> None:
    op, workload = matmul(m=0, n=4, k=5)
    bare = replace(op, oracle=refuses, baselines={"mine": "mx.not_there(a)"})
    inputs = zeros(op, workload)
    call = BaselineCall(bare, workload, "mine", inputs)
    call()
    assert call.outputs()["out"].shape == (0, 4)
    assert call.outputs()["out"].dtype.name == "bfloat16"
    (want,) = expected(bare, workload, inputs, {}, np.random.default_rng(0))
    assert want.value.shape == (0, 4)


def test_over_nothing_the_oracle_says_the_value_and_the_baseline_is_not_asked() -> None:
    op, workload = matmul(m=3, n=4, k=0)
    bare = replace(op, baselines={"mine": "mx.not_there(a)"})
    call = BaselineCall(bare, workload, "mine", zeros(op, workload))
    call()
    assert (call.outputs()["out"] == 0).all()
    assert call.outputs()["out"].shape == (3, 4)


def test_the_constant_of_an_op_over_nothing() -> None:
    assert empty.over_nothing(ops.get("matmul")) == (0.0,)
    assert empty.over_nothing(ops.get("softmax")) is None
    op = ops.get("matmul")
    ones = replace(op, oracle=lambda i, w: (op.oracle(i, w)[0] + 1.0,))
    assert empty.over_nothing(ones) == (1.0,)
    rising = replace(op, oracle=lambda i, w: (op.oracle(i, w)[0] + np.arange(w.axes["n"]),))
    assert empty.over_nothing(rising) == "computed"


def test_integer_outputs_stay_integers() -> None:
    op = ops.get("topk")
    workload = op.workload(Case({"rows": 3, "cols": 5, "k": 0}), "float32")
    found = empty.answer(op, workload, {"x": np.zeros((3, 5), np.float32)})
    assert found is not None
    assert [a.dtype.name for a in found] == ["float64", "uint32"]
