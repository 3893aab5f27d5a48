"""Attention without a softmax: features of queries and keys, sums that grow with the keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.fills import Custom
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

AXES = "batch heads seq head_dim"
SHAPE = ("batch", "heads", "seq", "head_dim")
INPUTS = tuple(Tensor(n, SHAPE) for n in ("q", "k", "v"))
CASES = (
    (
        *cases(AXES, (1, 1, 1, 4), (1, 2, 8, 32), (2, 3, 7, 16), (1, 2, 33, 64)),
        *cases(AXES, (1, 2, 5, 32), eps=1e-2),
    ),
    (
        *cases(AXES, (0, 2, 3, 8), (1, 2, 0, 8), (1, 1, 67, 5), (3, 5, 2, 31), (1, 2, 129, 33)),
        *cases(AXES, (2, 1, 17, 80), eps=0.5),
    ),
    (
        labelled(AXES, "linear attention, 16 heads, 64 tokens", 1, 16, 64, 64),
        labelled(AXES, "linear attention, 16 heads, 512 tokens", 1, 16, 512, 64),
    ),
)
HEAD = Axis("head_dim", least=1, compiled=True, tried_to=256)
EPS = {"eps": Range(1e-6, 0.5, usual=(1e-6, 1e-3))}


def _features(x: Any) -> Any:
    return np.where(x > 0, x + 1.0, np.exp(np.minimum(x, 0.0)))


def _full(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    return _of_features(_features(inputs["q"]), _features(inputs["k"]), inputs["v"], workload)


def _relu(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    q, k = (np.maximum(inputs[name], 0.0) for name in ("q", "k"))
    return _of_features(q, k, inputs["v"], workload)


def _of_features(q: Any, k: Any, v: Any, workload: Workload) -> tuple[Any, ...]:
    sums = k.swapaxes(-1, -2) @ v
    norm = (q * k.sum(axis=2, keepdims=True)).sum(axis=-1, keepdims=True)
    return ((q @ sums) / (norm + param_value(workload, "eps")),)


def _causal(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    q, k, seq = _features(inputs["q"]), _features(inputs["k"]), workload.axes["seq"]
    weights = np.where(np.tri(seq, dtype=bool), q @ k.swapaxes(-1, -2), 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    return ((weights @ inputs["v"]) / (total + param_value(workload, "eps")),)


def _cosformer(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    seq = workload.axes["seq"]
    q, k = np.maximum(inputs["q"], 0.0), np.maximum(inputs["k"], 0.0)
    angle = np.pi / 2.0 * np.arange(seq) / max(seq, 1)
    weights = (q @ k.swapaxes(-1, -2)) * np.cos(angle[:, None] - angle)
    total = weights.sum(axis=-1, keepdims=True)
    return ((weights @ inputs["v"]) / (total + param_value(workload, "eps")),)


_MLX = """
def features(x):
    wide = x.astype(mx.float32)
    return mx.where(wide > 0, wide + 1, mx.exp(mx.minimum(wide, 0)))
a, b, c = features(q), features(k), v.astype(mx.float32)
"""
linear_attention = Op(
    name="linear_attention",
    family="attention",
    formula="f(x) = x + 1 where x > 0 and exp(x) elsewhere. out[i] = sum over all j of (f(q[i]) . "
    "f(k[j])) v[j] over (sum over j of f(q[i]) . f(k[j]) + eps).",
    axes=axes("batch heads seq", HEAD),
    inputs=INPUTS,
    outputs=(Tensor("out", SHAPE, match=Close("seq + head_dim")),),
    params={"eps": 1e-6},
    ranges=EPS,
    oracle=_full,
    steps=lambda inputs, workload, stored: _full(inputs, workload),
    baselines={
        "in float32": f"{_MLX}norm = mx.sum(a * mx.sum(b, axis=2, keepdims=True), axis=-1, "
        "keepdims=True)\nreturn ((a @ (b.swapaxes(-1, -2) @ c)) / (norm + eps)).astype(dtype)",
    },
    # Of a few rows, the products of pairs are fewer than the sums of head_dim by head_dim.
    flops="4 * batch * heads * seq * head_dim * min(seq, head_dim)",
    plain_flops="4 * batch * heads * seq * head_dim * head_dim",
    visible=CASES[0],
    hidden=CASES[1],
    bench=CASES[2],
)
linear_attention_causal = replace(
    linear_attention,
    name="linear_attention_causal",
    formula="As `linear_attention`, the sums over the keys j <= i alone.",
    oracle=_causal,
    steps=lambda inputs, workload, stored: _causal(inputs, workload),
    baselines={
        "in float32": f"{_MLX}live = mx.arange(seq)[None] <= mx.arange(seq)[:, None]\n"
        "weights = mx.where(live, a @ b.swapaxes(-1, -2), 0)\n"
        "return ((weights @ c) / (mx.sum(weights, axis=-1, keepdims=True) + eps)).astype(dtype)",
    },
    flops="2 * batch * heads * seq * head_dim * min(seq + 1, 2 * head_dim)",
    plain_flops="4 * batch * heads * seq * seq * head_dim",
)
linear_attention_relu = replace(
    linear_attention,
    name="linear_attention_relu",
    formula="As `linear_attention` with f(x) = max(x, 0); where no feature is left, out is 0.",
    oracle=_relu,
    steps=lambda inputs, workload, stored: _relu(inputs, workload),
    baselines={
        "in float32": """
a, b = mx.maximum(q.astype(mx.float32), 0), mx.maximum(k.astype(mx.float32), 0)
norm = mx.sum(a * mx.sum(b, axis=2, keepdims=True), axis=-1, keepdims=True)
return ((a @ (b.swapaxes(-1, -2) @ v.astype(mx.float32))) / (norm + eps)).astype(dtype)
""",
    },
)
linear_attention_cosformer = replace(
    linear_attention,
    name="linear_attention_cosformer",
    formula="f(x) = max(x, 0), and queries and keys at like places weigh more: with w[i, j] = "
    "(f(q[i]) . f(k[j])) cos(pi (i - j) / (2 seq)), out[i] = sum over all j of w[i, j] v[j] over "
    "(sum over j of w[i, j] + eps). cos(a - b) = cos(a) cos(b) + sin(a) sin(b), none of it "
    "negative, makes of it two sums that grow with the keys.",
    oracle=_cosformer,
    steps=lambda inputs, workload, stored: _cosformer(inputs, workload),
    baselines={
        "in float32": """
a, b = mx.maximum(q.astype(mx.float32), 0), mx.maximum(k.astype(mx.float32), 0)
c = v.astype(mx.float32)
angle = (mx.arange(seq, dtype=mx.float32) * (math.pi / 2 / max(seq, 1)))[:, None]
near, far = mx.cos(angle), mx.sin(angle)
first, second = (b * near).swapaxes(-1, -2), (b * far).swapaxes(-1, -2)
found = (a * near) @ (first @ c) + (a * far) @ (second @ c)
total = (a * near) @ mx.sum(first, axis=-1, keepdims=True)
total = total + (a * far) @ mx.sum(second, axis=-1, keepdims=True)
return (found / (total + eps)).astype(dtype)
""",
    },
    flops="4 * batch * heads * seq * head_dim * min(seq, 2 * head_dim)",
    plain_flops="4 * batch * heads * seq * seq * head_dim",
)
FAVOR = f"{AXES} features"


def _random_features(x: Any, directions: Any) -> Any:
    y = x * x.shape[-1] ** -0.25
    return np.exp(y @ directions.T - 0.5 * np.square(y).sum(axis=-1, keepdims=True))


def _favor(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    q, k = (_random_features(inputs[n], inputs["directions"]) for n in ("q", "k"))
    return _of_features(q, k, inputs["v"], workload)


linear_attention_favor = replace(
    linear_attention,
    name="linear_attention_favor",
    formula="FAVOR+, positive random features of the softmax (Performer): with y = x / "
    "head_dim^(1/4), f(x)[m] = exp(directions[m] . y - |y|^2 / 2). out[i] = sum over all j of "
    "(f(q[i]) . f(k[j])) v[j] over (sum over j of f(q[i]) . f(k[j]) + eps).",
    axes=axes(
        "batch heads seq",
        Axis("head_dim", least=1),
        Axis("features", least=1, compiled=True, tried_to=256),
    ),
    inputs=(
        *INPUTS,
        # Directions of the normal distribution whatever is dealt: what the estimate rests on.
        Tensor(
            "directions",
            ("features", "head_dim"),
            fill=Custom(lambda rng, shape, dtype, sizes, values: rng.standard_normal(shape)),
        ),
    ),
    outputs=(Tensor("out", SHAPE, match=Close("seq + head_dim + features")),),
    oracle=_favor,
    steps=lambda inputs, workload, stored: _favor(inputs, workload),
    baselines={
        "in float32": """
wide = directions.astype(mx.float32)
def features_of(x):
    y = x.astype(mx.float32) * head_dim**-0.25
    return mx.exp(y @ wide.T - 0.5 * mx.sum(mx.square(y), axis=-1, keepdims=True))
a, b, c = features_of(q), features_of(k), v.astype(mx.float32)
norm = mx.sum(a * mx.sum(b, axis=2, keepdims=True), axis=-1, keepdims=True)
return ((a @ (b.swapaxes(-1, -2) @ c)) / (norm + eps)).astype(dtype)
""",
    },
    # Features of queries and of keys, then the cheaper way: sums over the keys, or all pairs.
    flops="4 * batch * heads * seq * features * head_dim + "
    "2 * batch * heads * seq * min(2 * features * head_dim, seq * (features + head_dim))",
    plain_flops="8 * batch * heads * seq * features * head_dim",
    visible=(
        *cases(FAVOR, (1, 1, 1, 4, 8), (1, 2, 8, 32, 32), (2, 3, 7, 16, 20), (1, 2, 33, 64, 64)),
        *cases(FAVOR, (1, 2, 5, 32, 32), eps=1e-2),
    ),
    hidden=(
        *cases(FAVOR, (0, 2, 3, 8, 8), (1, 2, 0, 8, 8), (1, 1, 67, 5, 33), (3, 5, 2, 31, 1)),
        *cases(FAVOR, (1, 2, 129, 33, 16)),
        *cases(FAVOR, (2, 1, 17, 80, 80), eps=0.5),
    ),
    bench=(
        labelled(FAVOR, "performer, 16 heads, 64 tokens", 1, 16, 64, 64, 64),
        labelled(FAVOR, "performer, 16 heads, 512 tokens", 1, 16, 512, 64, 128),
    ),
)
