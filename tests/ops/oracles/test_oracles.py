"""Oracles against every MLX baseline: all dtypes, all visible and hidden workloads."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

import ops
from foundry.harness.measuring.baseline import BaselineCall
from ops.dtypes import numpy_dtype
from ops.matches import Exact
from ops.spec import Op
from ops.workload import Case, Workload, dtype_of, match_of, reduction_length, shape_of

NUMPY = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
UNIT = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Distance from 1 to the next number."""
OPS = (
    *("silu", "swiglu", "softmax", "rms_norm", "layer_norm"),
    *("rope", "cumsum", "topk", "matmul", "attention"),
)
PAIRS = [(ops.get(name), dtype) for name in OPS for dtype in ops.get(name).dtypes]


def make(op: Op, workload: Workload, seed: int) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    dtypes = {t.name: NUMPY[dtype_of(t, workload)] for t in op.inputs}
    return {
        t.name: rng.standard_normal(shape_of(t, workload)).astype(dtypes[t.name]) for t in op.inputs
    }


def expected(op: Op, workload: Workload, arrays: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    results = op.oracle({k: v.astype(np.float64) for k, v in arrays.items()}, workload)
    for tensor, result in zip(op.outputs, results, strict=True):
        assert result.shape == shape_of(tensor, workload)
        assert result.dtype == (np.float64 if tensor.dtype == "T" else np.dtype(tensor.dtype))
        assert np.isfinite(result).all()
    return list(results)


COMPILED_EVERY = 5
"""MLX compiles a baseline anew for every shape, so not every workload meets those."""


def run(
    op: Op, workload: Workload, name: str, arrays: dict[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    call = BaselineCall(op, workload, name, arrays)
    call()
    return list(call.outputs().values())


def allowed(op: Op, workload: Workload, first: bool) -> float:
    """Error allowed, in units of the last place of the largest output."""
    if op.name == "rope":
        # An angle in float32 is off by the position times half a unit.
        return 16.0 + (workload.params["offset"] + workload.axes["seq"]) / 4
    if op.name == "attention":
        # exp turns the rounding of a score into as many units as the score is large.
        return 16.0 + workload.params["scale"] * workload.axes["head_dim"]
    (length,) = {reduction_length(t, workload) for t in op.outputs}
    # A baseline may add in the element type: rounding grows as the square root of the length.
    return 16.0 if first else 16.0 + length**0.5


@pytest.mark.parametrize(("op", "dtype"), PAIRS, ids=lambda v: v if isinstance(v, str) else v.name)
def test_baselines_agree_with_the_oracle(op: Op, dtype: str) -> None:
    first = next(iter(op.baselines))
    for index, workload in enumerate(
        (*op.workloads("visible", dtype), *op.workloads("hidden", dtype))
    ):
        arrays = make(op, workload, index)
        want = expected(op, workload, arrays)
        for name in op.baselines:
            if index % COMPILED_EVERY and op.baseline(name).compiled:
                continue
            outputs = run(op, workload, name, arrays)
            for tensor, out, ref in zip(op.outputs, outputs, want, strict=True):
                assert tuple(out.shape) == ref.shape, (workload.id, name)
                assert out.dtype == numpy_dtype(dtype_of(tensor, workload)), (workload.id, name)
                got = out.astype(ref.dtype)
                if match_of(tensor, workload) == Exact():
                    if name == first or tensor.name == "values":
                        np.testing.assert_array_equal(got, ref, err_msg=f"{workload.id} {name}")
                    continue
                scale = np.abs(ref).max(initial=1.0)
                error = np.abs(got - ref).max(initial=0.0)
                ratio = error / (UNIT[dtype] * scale)
                assert ratio <= allowed(op, workload, name == first), (
                    f"{workload.id} {name}: {tensor.name} is off by {ratio:.1f} ulp"
                )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_topk_baselines_on_ties(dtype: str) -> None:
    op = ops.get("topk")
    for index, workload in enumerate(
        (*op.workloads("visible", dtype), *op.workloads("hidden", dtype))
    ):
        rng = np.random.default_rng(index)
        shape = shape_of(op.inputs[0], workload)
        x = np.array([-1.0, -0.0, 0.0, 0.5])[rng.integers(0, 4, shape)].astype(NUMPY[dtype])
        values, indices = expected(op, workload, {"x": x})
        for name in op.baselines:
            got_values, got_indices = run(op, workload, name, {"x": x})
            np.testing.assert_array_equal(got_values, values, err_msg=f"{workload.id} {name}")
            picked = np.take_along_axis(x.astype(np.float64), got_indices, axis=-1)
            np.testing.assert_array_equal(picked, values, err_msg=f"{workload.id} {name}")
            if name == next(iter(op.baselines)):
                np.testing.assert_array_equal(got_indices, indices, err_msg=workload.id)


def test_oracles_survive_extremes() -> None:
    """The largest float32 in a row neither overflows nor warns where the formula is finite."""
    huge = np.array([[-3e38, -1e4, -1.0, 0.0, 1.0, 1e4, 3e38]])
    case = Case({"rows": 1, "cols": 7})
    for name, want in (
        ("softmax", [0, 0, 0, 0, 0, 0, 1]),
        ("silu", [0, 0, -0.2689414213699951, 0, 0.7310585786300049, 1e4, 3e38]),
        ("rms_norm", [-1, 0, 0, 0, 0, 0, 1]),
    ):
        op = ops.get(name)
        inputs = {"x": huge, "weight": np.full(7, np.sqrt(2 / 7))}
        (got,) = op.oracle(inputs, op.workload(case, "float32"))
        np.testing.assert_allclose(got, [want], rtol=1e-12, atol=1e-30)
