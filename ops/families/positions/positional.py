"""Positional encodings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.cases import cases, labelled
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

AXES = "batch heads seq head_dim"
ROPE = """
half = x.shape[-1] // 2
frequency = mx.exp(mx.arange(half, dtype=mx.float32) * (-2.0 * mx.log(base) / head_dim))
angle = (mx.arange(x.shape[-2]) + offset).astype(mx.float32)[:, None] * frequency
cos, sin = mx.cos(angle), mx.sin(angle)
first, second = x[..., :half].astype(mx.float32), x[..., half:].astype(mx.float32)
rotated = [first * cos - second * sin, first * sin + second * cos]
return mx.concatenate(rotated, axis=-1).astype(dtype)
"""


def _rope(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x, axes = inputs["x"], workload.axes
    half = axes["head_dim"] // 2
    frequency = param_value(workload, "base") ** (-2.0 * np.arange(half) / axes["head_dim"])
    position = np.arange(axes["seq"]) + param_value(workload, "offset")
    # Ones like an input: the error model rounds what is made of it, as kernels round an angle.
    angle = position[:, None] * (np.ones_like(x, shape=half) * frequency)
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = x[..., :half], x[..., half:]
    return (np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1),)


rope = Op(
    name="rope",
    family="positional",
    formula="Rotary embedding, half-split convention: with h = head_dim / 2, for i in 0..h-1 and "
    "angle a = (t + offset) * base^(-2 i / head_dim), "
    "out[b, n, t, i] = x[b, n, t, i] * cos(a) - x[b, n, t, i + h] * sin(a) and "
    "out[b, n, t, i + h] = x[b, n, t, i] * sin(a) + x[b, n, t, i + h] * cos(a).",
    axes=axes(
        "batch heads seq", Axis("head_dim", multiple_of=2, least=2, compiled=True, tried_to=256)
    ),
    inputs=(Tensor("x", ("batch", "heads", "seq", "head_dim")),),
    outputs=(Tensor("out", ("batch", "heads", "seq", "head_dim"), match=Close(2)),),
    params={"base": 10000.0, "offset": 0},
    ranges={
        "base": Range(100.0, 1e7, usual=(10_000.0, 100_000.0, 500_000.0, 1_000_000.0)),
        "offset": Range(-4096, 131_072, usual=(0, 1, 2048, 2049, 32_768)),
    },
    oracle=_rope,
    baselines={
        "mx.fast.rope": "mx.fast.rope("
        "x, head_dim, traditional=False, base=base, scale=1.0, offset=offset)",
        "compiled": Baseline(ROPE, compiled=True, traced=("base", "offset", "head_dim")),
    },
    flops="3 * batch * heads * seq * head_dim",
    visible=(
        *cases(AXES, (1, 1, 1, 2), (1, 2, 4, 8), (2, 3, 5, 16), (1, 4, 16, 64), (1, 2, 8, 128)),
        *cases(AXES, (1, 3, 7, 32), base=500000.0, offset=5),
    ),
    hidden=(
        *cases(AXES, (0, 2, 3, 8), (1, 2, 0, 8), (1, 1, 1, 64), (3, 1, 31, 6), (1, 5, 33, 10)),
        *cases(AXES, (1, 9, 17, 64), (2, 3, 129, 30), (1, 2, 257, 34)),
        *cases(AXES, (1, 11, 1, 64), base=100000.0, offset=511),
        *cases(AXES, (2, 7, 3, 256), base=1000000.0, offset=1023),
        *cases(AXES, (1, 3, 13, 66), base=123.5, offset=1),
        *cases(AXES, (1, 2, 5, 14), offset=77),
    ),
    bench=(
        labelled(AXES, "smollm2-135m decode, queries", 1, 9, 1, 64, base=100000.0, offset=511),
        labelled(AXES, "qwen3-0.6b decode, queries", 1, 16, 1, 128, base=1000000.0, offset=1023),
        labelled(AXES, "llama-3.2-1b decode, queries", 1, 32, 1, 64, base=500000.0, offset=2047),
        labelled(AXES, "smollm2-135m prefill 128, keys", 1, 3, 128, 64, base=100000.0),
        labelled(AXES, "smollm2-135m prefill 128, queries", 1, 9, 128, 64, base=100000.0),
        labelled(AXES, "qwen3-0.6b prefill 512, keys", 1, 8, 512, 128, base=1000000.0),
        labelled(AXES, "llama-3.2-1b prefill 512, queries", 1, 32, 512, 64, base=500000.0),
        labelled(AXES, "qwen3-0.6b prefill 2048, queries", 1, 16, 2048, 128, base=1000000.0),
    ),
)
