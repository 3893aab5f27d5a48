"""Angles of rotary embeddings are computed in float32 by kernels, and may be as wrong as that."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from foundry.judge.oracle.expecting import expected
from foundry.judge.oracle.inputs import make_inputs
from ops import Case, registry
from ops.dtypes import numpy_dtype

OP = registry.get("rope_qk")
AXES = {"batch": 2, "heads": 0, "kv_heads": 3, "seq": 17, "head_dim": 130}


def turned(x: NDArray[np.float32], offset: int, wrong: float = 0.0) -> NDArray[np.float32]:
    """The keys as a kernel turns them, every step in float32."""
    half = x.shape[-1] // 2
    share = np.arange(half, dtype=np.float32) / np.float32(half)
    frequency = np.exp2(-np.log2(np.float32(10000.0)) * share)
    position = (np.arange(x.shape[2]) + offset).astype(np.float32)
    angle = position[:, None] * frequency + np.float32(wrong)
    first, second = x[..., :half], x[..., half:]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


@pytest.mark.parametrize("seed", range(6))
def test_a_right_kernel_lies_within_and_a_wrong_angle_does_not(seed: int) -> None:
    workload = OP.workload(Case(AXES, {"offset": 77}), "float32")
    inputs = make_inputs(OP, workload, "normal", seed)
    _, keys = expected(OP, workload, inputs, {}, np.random.default_rng(seed))
    assert keys.compare(turned(inputs["k"], 77)).fault is None
    assert keys.compare(turned(inputs["k"], 77, wrong=1e-3)).fault is not None


@pytest.mark.parametrize("offset", [77, 2048, 100_003])
@pytest.mark.parametrize("seed", range(6))
def test_angles_of_rope_itself_are_rounded_too(seed: int, offset: int) -> None:
    """Its positions and frequencies come of sizes and parameters alone, not of any input."""
    op = registry.get("rope")
    axes = {"batch": 1, "heads": 2, "seq": 8, "head_dim": 128}
    workload = op.workload(Case(axes, {"offset": offset}), "float32")
    inputs = make_inputs(op, workload, "normal", seed)
    (out,) = expected(op, workload, inputs, {}, np.random.default_rng(seed))
    assert out.compare(turned(inputs["x"], offset)).fault is None
    assert out.compare(turned(inputs["x"], offset, wrong=0.3)).fault is not None


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_first_pair_turns_by_its_place_itself(dtype: str) -> None:
    """Its angle is a whole number: a cosine that takes turns off in float32 has no excuse there."""
    op = registry.get("rope")
    axes = {"batch": 1, "heads": 2, "seq": 8, "head_dim": 128}
    workload = op.workload(Case(axes, {"offset": 100_003}), dtype)
    inputs = make_inputs(op, workload, "normal", 3)
    (out,) = expected(op, workload, inputs, {}, np.random.default_rng(3))
    right = turned(inputs["x"].astype(np.float32), 100_003).astype(numpy_dtype(dtype))
    assert out.compare(right).fault is None
    wrong = turned(inputs["x"].astype(np.float32), 100_003, wrong=0.02)
    mixed = right.astype(np.float32)
    mixed[..., [0, 64]] = wrong[..., [0, 64]]
    assert out.compare(mixed.astype(numpy_dtype(dtype))).fault is not None
