"""Conventions that users bring along: what an op gives where libraries part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ops
from foundry.engines.cpu import CpuEngine
from foundry.harness.measuring.baseline import BaselineCall
from foundry.kernel import bind, parse
from foundry.program import BuildFailure
from ops.dtypes import numpy_dtype
from ops.spec import Op, bytes_moved
from ops.tiers import tier
from ops.workload import Workload, param_dtype
from templates import registry as templates
from templates import space
from templates.render import render


def launched(
    op: Op, workload: Workload, inputs: dict[str, NDArray[Any]], name: str = ""
) -> dict[str, NDArray[Any]]:
    template = templates.get(name) if name else templates.for_op(op.name)[0]
    program = bind(parse(render(template, space.default(template))), op, workload)
    built = CpuEngine().build(program)
    assert not isinstance(built, BuildFailure), built
    settings = {
        name: np.asarray(value, numpy_dtype(param_dtype(value)))
        for name, value in workload.params.items()
    }
    bound = built.bind(settings | inputs)
    bound()
    return dict(bound.outputs())


def by_mlx(op: Op, workload: Workload, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    baseline = BaselineCall(op, workload, "plain", inputs)
    baseline()
    return baseline.outputs()


def test_parts_without_keys_merge_to_a_part_without_keys() -> None:
    op = ops.get("attention_merge")
    workload = op.workload(op.visible[1], "float32")
    rows, cols = workload.axes["rows"], workload.axes["cols"]
    x = np.ones((rows, cols), np.float32)
    x[0] = 0.0
    dead = np.array([-np.inf, -np.inf, -1e30, 0.5], np.float32)
    inputs = {"x": x, "x_lse": dead, "y": np.zeros_like(x), "y_lse": np.roll(dead, -1)}
    inputs["y_lse"][0] = -np.inf
    want = np.array([0.0, 0.0, 0.0, 1.0])
    for out, lse in (
        op.oracle(inputs, workload),
        tuple(launched(op, workload, inputs).values()),
        tuple(by_mlx(op, workload, inputs).values()),
    ):
        np.testing.assert_allclose(np.asarray(out, np.float64)[:, 0], want)
        assert np.asarray(lse)[0] == -np.inf
        assert not np.isnan(np.asarray(lse, np.float64)).any()


def test_a_step_smaller_than_the_element_type_moves_a_moment() -> None:
    """0.999 of 1 is 1 in bfloat16: squares kept in it would never decay."""
    op = ops.get("adamw_step")
    workload = op.workload(op.visible[1], "bfloat16")
    shape = (workload.axes["rows"], workload.axes["cols"])
    inputs = {
        **{name: np.zeros(shape, numpy_dtype("bfloat16")) for name in ("x", "grad")},
        "moment": np.zeros(shape, np.float32),
        "square": np.ones(shape, np.float32),
    }
    beta = np.float32(workload.params["beta_2"])
    square = launched(op, workload, inputs)["square_out"]
    assert square.dtype == np.float32
    np.testing.assert_allclose(square, beta, rtol=1e-6)


@pytest.mark.parametrize("kind", ["thread", "simdgroup", "threadgroup"])
def test_a_row_of_one_large_value_has_no_variance(kind: str) -> None:
    """Rounding may make the square of the drift exceed the mean of squares."""
    op = ops.get("layer_norm")
    axes = {"rows": 40, "cols": 8209}
    workload = Workload(op.name, axes, "float32", {"eps": 1e-5})
    values = np.random.default_rng(7).uniform(1e4, 1e7, 40).astype(np.float32)
    inputs = {
        "x": np.repeat(values[:, None], 8209, axis=1),
        "weight": np.ones(8209, np.float32),
        "bias": np.ones(8209, np.float32),
    }
    out = launched(op, workload, inputs, f"layer_norm_{kind}")["out"]
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    ("apart", "buckets", "one_way", "bucket"),
    [(-20, 32, True, 17), (-20, 32, False, 10), (5, 32, True, 0), (128, 512, False, 384)],
)
def test_buckets_of_t5(apart: int, buckets: int, one_way: bool, bucket: int) -> None:
    op = ops.get("t5_bias")
    length = abs(apart) + 1
    axes = {"heads": 1, "q_len": length, "kv_len": length, "buckets": buckets}
    workload = Workload(op.name, axes, "float32", {"furthest": 128, "one_way": one_way})
    table = {"table": np.arange(buckets, dtype=np.float32)[None]}
    query, key = (length - 1, 0) if apart < 0 else (0, length - 1)
    for out in (
        op.oracle(table, workload)[0],
        launched(op, workload, table)["out"],
        by_mlx(op, workload, table)["out"],
    ):
        assert np.asarray(out)[0, query, key] == bucket


def test_add_scale_scales_the_sum() -> None:
    op = ops.get("add_scale")
    workload = op.workload(op.visible[0], "float32")
    ones = {"x": np.ones((1, 1), np.float32), "y": np.ones((1, 1), np.float32)}
    assert launched(op, workload, ones)["out"][0, 0] == 2 * workload.params["alpha"]


def test_rows_that_are_gathered_count_whole() -> None:
    op = ops.get("gather_rows")
    one = Workload(op.name, {"rows": 49152, "cols": 576, "count": 1}, "float16", {})
    assert bytes_moved(op, one) == 4 + 2 * 576 * 2


def test_fused_experts_come_after_matrix_products() -> None:
    assert (
        tier(ops.get("gather_qmm_swiglu")) > tier(ops.get("matmul")) > tier(ops.get("swiglu_vjp"))
    )
