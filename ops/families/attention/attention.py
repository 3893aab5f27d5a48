"""Scaled dot-product attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.declaring.masking import CAUSAL, metal_of
from ops.formulas import softmax_rows
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op, Stored, unrounded
from ops.workload import Case, Tensor, Workload, param_value

AXES = "batch heads kv_heads q_len kv_len head_dim"
# A single query sees every key, and users pass no mask for it.
FAST = """
mask = None if q_len == 1 else "causal"
return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
"""
FLOAT32 = """
mask = None if q_len == 1 else "causal"
q, k, v = q.astype(mx.float32), k.astype(mx.float32), v.astype(mx.float32)
return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask).astype(dtype)
"""


def _attention(
    inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored = unrounded
) -> tuple[NDArray[Any], ...]:
    q, k, v, axes = inputs["q"], inputs["k"], inputs["v"], workload.axes
    q_len, kv_len = axes["q_len"], axes["kv_len"]
    repeats = axes["heads"] // axes["kv_heads"]
    keys, values = np.repeat(k, repeats, axis=1), np.repeat(v, repeats, axis=1)
    # Tiles of matrix units hold T: scaled queries and probabilities are rounded to fit in.
    scores = stored(q * param_value(workload, "scale")) @ keys.swapaxes(-1, -2)
    live = np.arange(kv_len) <= np.arange(q_len)[:, None] + (kv_len - q_len)
    return (stored(softmax_rows(np.where(live, scores, -np.inf))) @ values,)


def _scaled(label: str, *sizes: int) -> Case:
    """A case with the scale models use, head_dim ** -0.5; `head_dim` is the last size."""
    return labelled(AXES, label, *sizes, scale=sizes[-1] ** -0.5)


attention = Op(
    name="attention",
    family="attention",
    formula="Causal attention with grouped queries. Head n reads keys and values of head "
    "g = n // (heads // kv_heads). Query i sees the keys j <= i + kv_len - q_len (the last query "
    "is aligned with the last key). s[j] = scale * sum_d q[b, n, i, d] * k[b, g, j, d]; "
    "p = softmax of s over the keys seen; out[b, n, i, d] = sum_j p[j] * v[b, g, j, d].",
    axes=axes(
        "batch heads",
        Axis("kv_heads", least=1),
        "q_len kv_len",
        Axis("head_dim", compiled=True, tried_to=256),
    ),
    inputs=(
        Tensor("q", ("batch", "heads", "q_len", "head_dim")),
        Tensor("k", ("batch", "kv_heads", "kv_len", "head_dim")),
        Tensor("v", ("batch", "kv_heads", "kv_len", "head_dim")),
    ),
    outputs=(
        Tensor("out", ("batch", "heads", "q_len", "head_dim"), match=Close("kv_len + head_dim")),
    ),
    params={"scale": 0.125},
    ranges={"scale": Range(-1.0, 1.0, usual=(0.0, 0.0625, 0.08838834764831845, 0.125))},
    constraints=("heads % max(kv_heads, 1) == 0", "q_len <= kv_len"),
    oracle=_attention,
    steps=_attention,
    baselines={
        "mx.fast.scaled_dot_product_attention": FAST,
        # MLX on a CPU has BLAS for float32 alone, so this can be the faster way in half precision.
        "float32": FLOAT32,
    },
    # 4 head_dim for each pair of a query and a key it sees.
    flops="batch * heads * head_dim * (4 * q_len * (kv_len - q_len) + 2 * q_len * (q_len + 1))",
    # Few head_dim: kernels take it as a constant, and every value is compiled on its own.
    visible=(
        *(_scaled("", *s) for s in ((1, 1, 1, 1, 1, 8), (1, 2, 1, 4, 4, 8), (2, 4, 2, 8, 8, 32))),
        *(_scaled("", *s) for s in ((1, 2, 2, 16, 48, 64), (1, 3, 1, 1, 64, 64))),
        *cases(AXES, (1, 4, 1, 3, 17, 64), scale=0.5),
    ),
    hidden=(
        *(_scaled("", *s) for s in ((0, 2, 1, 3, 3, 64), (1, 2, 1, 0, 5, 64), (1, 1, 1, 1, 1, 1))),
        *(_scaled("", *s) for s in ((1, 6, 2, 5, 7, 33), (2, 3, 3, 7, 31, 33), (3, 5, 1, 2, 2, 5))),
        *(_scaled("", *s) for s in ((1, 9, 3, 17, 17, 64), (1, 2, 1, 33, 65, 128))),
        *(_scaled("", *s) for s in ((1, 1, 1, 2, 129, 5), (1, 4, 4, 1, 257, 64))),
        *(_scaled("", *s) for s in ((1, 2, 1, 67, 67, 64), (1, 4, 2, 1, 127, 80))),
        _scaled("", 1, 1, 1, 3, 5, 192),
        *cases(AXES, (1, 8, 2, 13, 100, 80), scale=1.0),
        *cases(AXES, (1, 2, 1, 9, 11, 64), scale=0.03),
    ),
    bench=(
        _scaled("smollm2-135m decode, 128 keys", 1, 9, 3, 1, 128, 64),
        _scaled("smollm2-135m decode, 1024 keys", 1, 9, 3, 1, 1024, 64),
        _scaled("llama-3.2-1b decode, 1024 keys", 1, 32, 8, 1, 1024, 64),
        _scaled("qwen3-0.6b decode, 2048 keys", 1, 16, 8, 1, 2048, 128),
        _scaled("smollm2-135m prefill 128", 1, 9, 3, 128, 128, 64),
        _scaled("qwen3-0.6b prefill 512", 1, 16, 8, 512, 512, 128),
        _scaled("llama-3.2-1b prefill 512", 1, 32, 8, 512, 512, 64),
        _scaled("llama-3.2-1b prefill 128 after 1024", 1, 32, 8, 128, 1152, 64),
    ),
    metal=metal_of(CAUSAL),
)
