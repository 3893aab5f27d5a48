"""The error model keeps honest arithmetic and refuses reduced precision and left-out terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.judge.matching import Difference, Within
from foundry.judge.oracle import bounds
from foundry.judge.oracle.draws.distributions import DISTRIBUTIONS
from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import applicable, make_inputs
from foundry.judge.proof.compare import compare
from foundry.program import Arrays, TensorSpec
from ops import registry
from ops.dtypes import numpy_dtype
from ops.matches import Close
from ops.workload import Case, Tensor, Workload, dtype_of, shape_of

Kernel = Callable[[Arrays, Workload, Any], NDArray[Any]]


def judged(
    op_name: str, sizes: dict[str, int], dtype: str, distribution: str, kernel: Kernel, kind: Any
) -> Difference:
    op = registry.get(op_name)
    workload = op.workload(Case(sizes), dtype)
    inputs = make_inputs(op, workload, distribution, 11)
    (want,) = expected(op, workload, inputs, {}, np.random.default_rng(5))
    tensor = op.outputs[0]
    spec = TensorSpec(tensor.name, shape_of(tensor, workload), dtype_of(tensor, workload))
    wide = {k: v.astype(kind) for k, v in inputs.items()}
    with np.errstate(all="ignore"):
        got = kernel(wide, workload, kind).astype(numpy_dtype(spec.dtype))
    return compare(spec, got, want)


def silu(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
    return i["x"] / (kind(1) + np.exp(-i["x"]))


def softmax(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
    e = np.exp(i["x"] - i["x"].max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True, dtype=kind)


def rms_norm(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
    mean = np.square(i["x"]).mean(axis=-1, keepdims=True, dtype=kind)
    return i["x"] / np.sqrt(mean + i["eps"]) * i["weight"]


def layer_norm(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
    centred = i["x"] - i["x"].mean(axis=-1, keepdims=True, dtype=kind)
    variance = np.square(centred).mean(axis=-1, keepdims=True, dtype=kind)
    return centred / np.sqrt(variance + i["eps"]) * i["weight"] + i["bias"]


def sequential_cumsum(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
    out = np.empty_like(i["x"])
    total = np.zeros(out.shape[:-1], kind)
    for column in range(out.shape[-1]):
        total = (total + i["x"][..., column]).astype(kind)
        out[..., column] = total
    return out


def sequential_matmul(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
    total = np.zeros((w.axes["m"], w.axes["n"]), kind)
    for p in range(w.axes["k"]):
        total = (total + np.outer(i["a"][:, p], i["b"][:, p])).astype(kind)
    return total


HONEST = [
    ("silu", {"rows": 9, "cols": 130}, silu),
    ("softmax", {"rows": 5, "cols": 700}, softmax),
    ("softmax", {"rows": 3, "cols": 1}, softmax),
    ("rms_norm", {"rows": 5, "cols": 577}, rms_norm),
    ("layer_norm", {"rows": 5, "cols": 577}, layer_norm),
    ("cumsum", {"rows": 3, "cols": 4097}, sequential_cumsum),
    ("matmul", {"m": 9, "n": 17, "k": 513}, sequential_matmul),
    ("matmul", {"m": 2, "n": 3, "k": 1}, sequential_matmul),
]


CLOSE = applicable(registry.get("softmax"), tuple(DISTRIBUTIONS))
"""Distributions of ops whose outputs are compared within bounds."""


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("distribution", CLOSE)
@pytest.mark.parametrize(("op", "sizes", "kernel"), HONEST)
def test_honest_float32_arithmetic_passes(
    op: str, sizes: dict[str, int], kernel: Kernel, distribution: str, dtype: str
) -> None:
    difference = judged(op, sizes, dtype, distribution, kernel, np.float32)
    assert difference.fault is None, difference


@pytest.mark.parametrize(("op", "sizes", "kernel"), HONEST)
def test_half_precision_where_float32_is_asked_fails(
    op: str, sizes: dict[str, int], kernel: Kernel
) -> None:
    if op == "softmax" and sizes["cols"] == 1:
        pytest.skip("1 is 1 in any precision")
    assert judged(op, sizes, "float32", "normal", kernel, np.float16).fault is not None


@pytest.mark.parametrize(
    ("op", "sizes", "kernel"),
    [
        ("cumsum", {"rows": 3, "cols": 4097}, sequential_cumsum),
        ("matmul", {"m": 9, "n": 17, "k": 513}, sequential_matmul),
    ],
)
def test_long_sums_carried_in_half_precision_fail(
    op: str, sizes: dict[str, int], kernel: Kernel
) -> None:
    assert judged(op, sizes, "float16", "uniform", kernel, np.float16).fault is not None


@pytest.mark.parametrize("k", [2, 17, 100, 1000])
def test_a_term_left_out_of_a_sum_is_seen(k: int) -> None:
    def short(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
        return i["a"][:, :-1] @ i["b"][:, :-1].T

    sizes = {"m": 40, "n": 30, "k": k}
    for dtype in ("float32", "float16"):
        assert judged("matmul", sizes, dtype, "normal", short, np.float32).fault is not None
    faults = [judged("matmul", sizes, "bfloat16", d, short, np.float32).fault for d in CLOSE]
    assert any(faults)


def test_a_constant_relative_error_is_seen_in_float32() -> None:
    def biased(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
        return softmax(i, w, kind) * kind(1.0005)

    sizes = {"rows": 5, "cols": 700}
    assert judged("softmax", sizes, "float32", "normal", biased, np.float32).fault is not None


def test_the_naive_variance_fails_where_the_mean_is_large() -> None:
    def naive(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
        mean = i["x"].mean(axis=-1, keepdims=True, dtype=kind)
        variance = np.square(i["x"]).mean(axis=-1, keepdims=True, dtype=kind) - mean * mean
        return (i["x"] - mean) / np.sqrt(variance + i["eps"]) * i["weight"] + i["bias"]

    sizes = {"rows": 40, "cols": 577}
    found = [judged("layer_norm", sizes, "float32", d, naive, np.float32) for d in CLOSE]
    assert any(f.fault for f in found)


def test_a_sigmoid_that_is_flushed_may_be_multiplied_by_every_input() -> None:
    """-88.9 * sigmoid(-88.9) is a normal float32; exp(88.9) and what is divided by it are not."""
    workload = registry.get("swiglu").workload(Case({"rows": 1, "cols": 2}), "float32")
    inputs = {
        "gate": np.array([[-88.9, 1.0]], np.float32),
        "up": np.array([[1622.0, 2.0]], np.float32),
    }
    (want,) = expected(registry.get("swiglu"), workload, inputs, {}, np.random.default_rng(5))
    assert isinstance(want, Within)
    assert abs(want.value[0, 0]) > 1e-34
    assert abs(want.value[0, 0]) < want.bound[0, 0] < 1e-27


def test_softmax_without_the_maximum_fails_on_extremes() -> None:
    def unshifted(i: Arrays, w: Workload, kind: Any) -> NDArray[Any]:
        e = np.exp(i["x"])
        return e / e.sum(axis=-1, keepdims=True)

    sizes = {"rows": 5, "cols": 64}
    assert judged("softmax", sizes, "float32", "extreme", unshifted, np.float32).fault is not None


def test_every_output_has_the_bound_of_its_own_sum() -> None:
    silu = registry.get("silu")
    total = Tensor("total", ("cols",), match=Close("rows"))
    op = replace(
        silu,
        outputs=(*silu.outputs, total),
        oracle=lambda i, w: (2 * i["x"], i["x"].sum(axis=0)),
    )
    workload = op.workload(Case({"rows": 4000, "cols": 3}), "float32")
    inputs = make_inputs(op, workload, "uniform", 1)
    doubled, summed = expected(op, workload, inputs, {}, np.random.default_rng(0))
    assert isinstance(doubled, Within)
    assert isinstance(summed, Within)
    assert np.median(doubled.bound / np.abs(doubled.value)) < 1e-5
    assert np.median(summed.bound / np.abs(summed.value)) > 1e-4


def test_no_row_moves_by_less_of_itself_than_the_median_row() -> None:
    """Five draws are all small by chance in some row, where equal terms still round one way."""
    value = np.arange(1.0, 17.0)[:, None] * np.ones((16, 3))
    seen = 1e-6 * value
    seen[4] = 1e-9
    raised = bounds._by_median(value, seen)
    np.testing.assert_allclose(raised, 1e-6 * value)
    np.testing.assert_array_equal(bounds._by_median(value[:4], seen[:4]), seen[:4])


def test_in_chaos_no_element_stands_still_by_chance() -> None:
    value, still = np.ones((4, 9)), np.full((4, 9), 1e-7)
    seen = still.copy()
    seen[0], seen[1, 4], seen[2, 1:] = 0.5, 7.0, 0.25
    raised = bounds._by_chaos(value, seen)
    assert (raised[[0, 2]] == 0.5).all(), "rows of which most moves"
    np.testing.assert_array_equal(raised[[1, 3]], seen[[1, 3]])
    value[2, 0] = 1e9
    assert (bounds._by_chaos(value, seen)[2] == seen[2]).all(), "its largest value stands"


def test_a_mean_of_one_term_leaves_the_rounding_of_a_product() -> None:
    op = registry.get("layer_norm_vjp")
    workload = op.workload(Case({"rows": 1, "cols": 1}), "float32")
    for seed in range(20):
        inputs = make_inputs(op, workload, "normal", seed)
        want, *_ = expected(op, workload, inputs, {}, np.random.default_rng(seed))
        assert isinstance(want, Within)
        product = abs(float(inputs["weight"][0]) * float(inputs["dout"][0, 0]))
        fused = 2.0**-24 * product / np.sqrt(workload.params["eps"])
        assert fused <= want.bound[0, 0] <= 100 * fused


def test_a_parameter_moves_by_its_units_at_least() -> None:
    """However small the draws are: it is one number for all elements."""
    op = registry.get("rope")
    workload = op.workloads("visible", "float32")[0]
    rng = np.random.default_rng(0)
    moved = [bounds._moved_workload(workload, rng).params for _ in range(200)]
    base = workload.params["base"]
    shares = [abs(found["base"] / base - 1.0) / 2.0**-23 for found in moved]
    assert min(shares) == pytest.approx(8.0, rel=1e-3)
    assert max(shares) > 16.0
    assert {found["offset"] for found in moved} == {workload.params["offset"]}


def test_a_packed_gate_that_is_flushed_may_be_multiplied_by_what_lies_beside_it() -> None:
    """exp(89) is infinite in float32, so that the plain sigmoid of -89 is 0."""
    op = registry.get("swiglu_packed")
    workload = op.workload(Case({"rows": 1, "cols": 1}), "float32")
    inputs = {"x": np.array([[-89.0, 100.0]], np.float32), "bias": np.zeros(2, np.float32)}
    (want,) = expected(op, workload, inputs, {}, np.random.default_rng(1))
    assert isinstance(want, Within)
    assert 1e-36 < abs(want.value[0, 0]) < want.bound[0, 0]


@pytest.mark.parametrize(("off", "right"), [(2.0**-22, True), (1e-4, False)])
def test_a_table_of_places_is_rounded_though_no_input_goes_into_it(off: float, right: bool) -> None:
    """A bias that a score takes away again leaves the rounding of its slope."""
    op = registry.get("alibi_bias")
    workload = op.workload(Case({"batch": 1, "heads": 7, "q_len": 90, "kv_len": 1}), "float32")
    slopes = 2.0 ** (-8.0 * np.arange(1, 8) / 7)
    bias = slopes[:, None] * np.arange(89, -1, -1.0)
    x = (0.01 - bias).astype(np.float32)
    (want,) = expected(op, workload, {"x": x[None, :, :, None]}, {}, np.random.default_rng(5))
    assert isinstance(want, Within)
    got = (x.astype(np.float64) + bias * (1.0 + off)).astype(np.float32)
    assert (want.compare(got[None, :, :, None]).fault is None) == right
