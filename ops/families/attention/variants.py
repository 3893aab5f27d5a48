"""Attention that is no softmax of plain scores: rotated on the way, or activated in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.attention.attention import AXES, attention
from ops.formulas import gelu_tanh
from ops.matches import Close
from ops.spec import Op, Stored, unrounded
from ops.workload import Tensor, Workload, param_value

PAIRS = ("kv_len", "head_dim // 2")


def _turned(x: NDArray[Any], cosine: NDArray[Any], sine: NDArray[Any]) -> NDArray[Any]:
    half = x.shape[-1] // 2
    low, high = x[..., :half], x[..., half:]
    return np.concatenate([low * cosine - high * sine, high * cosine + low * sine], axis=-1)


def _rotated(
    inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored = unrounded
) -> tuple[NDArray[Any], ...]:
    cosine, sine = inputs["cosine"], inputs["sine"]
    start = workload.axes["kv_len"] - workload.axes["q_len"]
    turned = {
        "q": stored(_turned(inputs["q"], cosine[start:], sine[start:])),
        "k": stored(_turned(inputs["k"], cosine, sine)),
        "v": inputs["v"],
    }
    if attention.steps is None:
        raise ValueError("attention has steps")
    return attention.steps(turned, workload, stored)


rope_attention = replace(
    attention,
    name="rope_attention",
    formula="Causal attention with grouped queries whose queries and keys are rotated first. Query "
    "i stands at p = i + kv_len - q_len, key j at j. With n = head_dim / 2, x at p becomes "
    "x[d] cosine[p, d] - x[d + n] sine[p, d] for d < n, and x[d] cosine[p, d - n] + x[d - n] "
    "sine[p, d - n] beyond. Then as `attention`: s[j] = scale * sum_d q[d] k[j, d] over the keys "
    "j <= p of head h // (heads // kv_heads), p = softmax(s), out = sum_j p[j] v[j].",
    axes=axes(
        "batch heads",
        Axis("kv_heads", least=1),
        "q_len kv_len",
        Axis("head_dim", multiple_of=2, compiled=True, tried_to=256),
    ),
    inputs=(*attention.inputs, Tensor("cosine", PAIRS), Tensor("sine", PAIRS)),
    oracle=_rotated,
    steps=_rotated,
    baselines={
        "mx.fast.scaled_dot_product_attention": """
def turned(x, a, b):
    x, a, b = x.astype(mx.float32), a.astype(mx.float32), b.astype(mx.float32)
    low, high = x[..., :head_dim // 2], x[..., head_dim // 2:]
    return mx.concatenate([low * a - high * b, high * a + low * b], axis=-1).astype(dtype)
start = kv_len - q_len
mask = None if q_len == 1 else "causal"
return mx.fast.scaled_dot_product_attention(
    turned(q, cosine[start:], sine[start:]), turned(k, cosine, sine), v, scale=scale, mask=mask)
""",
    },
    visible=tuple(c for c in attention.visible if c.axes["head_dim"] % 2 == 0),
    hidden=(
        *(c for c in attention.hidden if c.axes["head_dim"] % 2 == 0),
        *cases(AXES, (1, 2, 2, 5, 9, 6), (1, 1, 1, 3, 31, 34), (3, 4, 2, 1, 33, 2), scale=0.4),
    ),
    bench=tuple(c for c in attention.bench if c.axes["q_len"] * c.axes["kv_len"] <= 1 << 15),
    metal={},
)
FULL = Close("kv_len + head_dim")


def _activated(
    inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored = unrounded
) -> tuple[NDArray[Any], ...]:
    repeats = workload.axes["heads"] // workload.axes["kv_heads"]
    keys, values = (np.repeat(inputs[name], repeats, axis=1) for name in ("k", "v"))
    scores = stored(inputs["q"] * param_value(workload, "scale")) @ keys.swapaxes(-1, -2)
    return (stored(gelu_tanh(scores)) @ values,)


attention_activation: Op = replace(
    attention,
    name="attention_activation",
    formula="Attention without a softmax, grouped queries, every key seen: with g = h // (heads // "
    "kv_heads) and s[j] = scale * sum_d q[b, h, i, d] * k[b, g, j, d], out[b, h, i, d] = sum_j "
    "gelu(s[j]) * v[b, g, j, d]; gelu(x) = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).",
    outputs=(Tensor("out", ("batch", "heads", "q_len", "head_dim"), match=FULL),),
    constraints=("heads % max(kv_heads, 1) == 0",),
    oracle=_activated,
    steps=_activated,
    baselines={
        "in float32": """
repeats = heads // kv_heads
keys = mx.repeat(k.astype(mx.float32), repeats, axis=1)
values = mx.repeat(v.astype(mx.float32), repeats, axis=1)
s = scale * (q.astype(mx.float32) @ keys.swapaxes(-1, -2))
weights = s * mx.sigmoid(math.sqrt(8 / math.pi) * (s + 0.044715 * s**3))
return (weights @ values).astype(dtype)
""",
    },
    flops="batch * heads * q_len * kv_len * (4 * head_dim + 13)",
    hidden=(
        *attention.hidden,
        *cases(AXES, (1, 2, 1, 7, 3, 16), (2, 1, 1, 5, 1, 9), (1, 3, 3, 2, 0, 8), scale=0.25),
    ),
    bench=(
        labelled(AXES, "9 heads, decode, 1024 keys", 1, 9, 3, 1, 1024, 64),
        labelled(AXES, "16 heads, 128 queries and keys", 1, 16, 16, 128, 128, 64),
    ),
    metal={},
)
