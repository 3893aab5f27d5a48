"""Ops over what is packed or rounded are loops over its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import ops
from ops.dtypes import numpy_dtype
from ops.workload import Case, shape_of

Array = NDArray[Any]


def oracle(name: str, axes: dict[str, int], given: dict[str, Array], dtype: str = "float32") -> Any:
    op = ops.get(name)
    return op.oracle(given, op.workload(Case(axes), dtype))


def test_packed_documents_are_a_loop_over_them() -> None:
    axes = {"heads": 2, "seq": 9, "spans": 4, "key": 5, "value": 3}
    packed = ops.get("gated_delta_packed")
    workload = packed.workload(Case(axes), "float32")
    rng = np.random.default_rng(6)
    given = {t.name: rng.uniform(size=shape_of(t, workload)) for t in packed.inputs}
    given["begins"] = np.array([0, 4, 4, 5, 9], np.int32)  # the second one is empty
    out, state = packed.oracle(given, workload)
    for span, (begin, end) in enumerate(((0, 4), (4, 4), (4, 5), (5, 9))):
        own = {n: given[n][None, :, begin:end] for n in ("q", "k", "v", "decay", "beta")}
        own["state"] = given["state"][span][None]
        sizes = {"batch": 1, "heads": 2, "seq": end - begin, "key": 5, "value": 3}
        alone, last = oracle("gated_delta", sizes, own)
        assert_allclose(out[:, begin:end], alone[0], rtol=1e-12)
        assert_allclose(state[span], last[0], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_sum_without_fused_steps_is_arithmetic_of_arrays(dtype: str) -> None:
    kind = numpy_dtype(dtype)
    rng = np.random.default_rng(7)
    x, share = rng.normal(size=(5, 4, 9)).astype(kind), rng.uniform(size=(5, 4)).astype(kind)
    wanted = np.zeros((5, 9), kind)
    for slot in range(4):
        wanted = wanted + x[:, slot] * share[:, slot, None]
    given = {"x": x.astype(np.float64), "share": share.astype(np.float64)}
    axes = {"rows": 5, "slots": 4, "cols": 9}
    (stepwise,) = oracle("moe_combine_no_fma", axes, given, dtype)
    assert_array_equal(stepwise, wanted.astype(np.float64))
    (free,) = oracle("moe_combine", axes, given, dtype)
    assert (free.astype(kind) != wanted).any()
    (wide,) = oracle("moe_combine_float32", axes, given, dtype)
    assert_array_equal(wide, free)


def test_a_norm_without_bias_is_one_with_zeros() -> None:
    rng = np.random.default_rng(8)
    given = {"x": rng.normal(1.0, 2.0, size=(3, 8)), "weight": rng.normal(size=8)}
    axes = {"rows": 3, "cols": 8}
    (out,) = oracle("layer_norm_unbiased", axes, given)
    (whole,) = oracle("layer_norm", axes, {**given, "bias": np.zeros(8)})
    assert_allclose(out, whole, rtol=1e-12)


def test_features_that_are_cut_off_leave_nothing() -> None:
    rng = np.random.default_rng(9)
    q, k, v = np.abs(rng.normal(size=(3, 1, 1, 4, 5)))
    axes = {"batch": 1, "heads": 1, "seq": 4, "head_dim": 5}
    (out,) = oracle("linear_attention_relu", axes, {"q": q, "k": k, "v": v})
    weights = q @ k.swapaxes(-1, -2)
    assert_allclose(out, weights / weights.sum(axis=-1, keepdims=True) @ v, rtol=1e-5)
    (nothing,) = oracle("linear_attention_relu", axes, {"q": -q, "k": k, "v": v})
    assert not nothing.any()


def test_scores_of_compressed_keys_are_those_of_the_restored() -> None:
    rng = np.random.default_rng(10)
    basis, q = rng.normal(size=(3, 12, 8)), rng.normal(size=(3, 12))
    codes = rng.integers(0, 256, (5, 3, 8)).astype(np.uint8)
    scales, biases = rng.normal(size=(2, 5, 3))
    held = {"codes": codes, "scales": scales, "biases": biases}
    axes = {"tokens": 5, "heads": 3, "rank": 8}
    (keys,) = oracle("skv_restore", {**axes, "head_dim": 12}, {**held, "basis": basis})
    asked = np.einsum("hd,hdr->hr", q, basis)
    (scores,) = oracle("skv_scores", axes, {**held, "asked": asked})
    assert_allclose(scores, 0.125 * np.einsum("hd,thd->ht", q, keys), rtol=1e-9, atol=1e-12)
