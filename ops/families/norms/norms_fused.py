"""Norms fused with what stands around them: a residual, dropout, a modulation, a gate."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.cases import cases, labelled
from ops.families.forms.pointwise import elements
from ops.families.forms.rowwise import MOMENTS, Layout, rowwise
from ops.families.norms.norms import BENCH, EPS, HIDDEN, VISIBLE
from ops.fills import Real
from ops.formulas import logistic
from ops.matches import Close
from ops.parameters import Range
from ops.workload import Tensor

ROW = Close("cols")
LEARNT = Tensor("weight", ("cols",))
X, OUT = elements("x"), Tensor("out", ("rows", "cols"), match=ROW)
EPS_OF = {"eps": 1e-5}
RANGES = {"eps": EPS}
TOKENS = (VISIBLE, HIDDEN, BENCH)
"""Hidden states, a row a token, as `rms_norm` and `layer_norm` take them."""

NORMAL = "((x - about) - shift) * scale"


def rms(x: Any, eps: float) -> Any:
    """X over the root of its mean square along the last axis."""
    mean_square = np.square(x).sum(axis=-1, keepdims=True) / max(x.shape[-1], 1)
    return x / np.sqrt(mean_square + eps)


def normal(x: Any, eps: float) -> Any:
    """X less its mean along the last axis, over its deviation."""
    count = max(x.shape[-1], 1)
    centred = x - x.sum(axis=-1, keepdims=True) / count
    return centred / np.sqrt(np.square(centred).sum(axis=-1, keepdims=True) / count + eps)


def _of_sum(text: dict[str, str]) -> dict[str, str]:
    """Passes over `x` as passes over the sum of `x` and `residual`."""
    return {k: v.replace("x - about", "(x + residual) - about") for k, v in text.items()}


add_rms_norm = rowwise(
    "add_rms_norm",
    "norms",
    (X, elements("residual"), LEARNT),
    (OUT, elements("total")),
    np=lambda x, residual, weight, eps: (rms(x + residual, eps) * weight, x + residual),
    steps=lambda stored, x, residual, weight, eps: (
        stored(rms(stored(x + residual), eps)) * weight,
        x + residual,
    ),
    mlx={
        "mx.fast.rms_norm": "h = x + residual\nreturn mx.fast.rms_norm(h, weight, eps), h",
        "compiled": Baseline("h = x + residual\nreturn mx.fast.rms_norm(h, weight, eps), h", True),
    },
    passes={
        "squares": "sum of (x + residual) * (x + residual)",
        "scale": "rsqrt(squares / float(cols) + eps)",
    },
    metal={"out": "(x + residual) * scale * weight", "total": "x + residual"},
    flops=5,
    params=EPS_OF,
    ranges=RANGES,
    formula="total = x + residual; out[r, c] = total[r, c] / sqrt(sum_j total[r, j]^2 / cols + eps)"
    " * weight[c]. The sum may be rounded to T before its norm is taken.",
    cases=TOKENS,
)
"""The residual stream and the norm of it: twice a layer of every Llama-like model."""

add_layer_norm = rowwise(
    "add_layer_norm",
    "norms",
    (X, elements("residual"), LEARNT, Tensor("bias", ("cols",))),
    (OUT, elements("sums")),
    np=lambda x, residual, weight, bias, eps: (
        normal(x + residual, eps) * weight + bias,
        x + residual,
    ),
    steps=lambda stored, x, residual, weight, bias, eps: (
        stored(stored(normal(stored(x + residual), eps)) * weight) + bias,
        x + residual,
    ),
    mlx="h = x + residual\nreturn mx.fast.layer_norm(h, weight, bias, eps), h",
    passes=_of_sum({**MOMENTS, "total": "sum of x + residual"}),
    metal={
        "out": "(((x + residual) - about) - shift) * scale * weight + bias",
        "sums": "x + residual",
    },
    flops=9,
    params=EPS_OF,
    ranges=RANGES,
    formula="sums = x + residual; out = (sums - mean) / sqrt(variance + eps) * weight + bias, "
    "mean and variance of each row of sums. The sum may be rounded to T before its norm is taken.",
    cases=TOKENS,
)
KEPT = Tensor("chance", ("rows", "cols"), fill=Real(0.0, 0.99))


def _kept(x: Any, chance: Any, drop: float) -> Any:
    return np.where(chance >= drop, x / (1.0 - drop), 0.0)


rms_norm_dropout = rowwise(
    "rms_norm_dropout",
    "norms",
    (X, LEARNT, KEPT),
    (OUT,),
    np=lambda x, weight, chance, eps, drop: _kept(rms(x, eps) * weight, chance, drop),
    mlx="kept = chance.astype(mx.float32) >= mx.array(drop, dtype=mx.float32)\n"
    "wide = mx.fast.rms_norm(x.astype(mx.float32), weight.astype(mx.float32), eps)\n"
    "return mx.where(kept, wide / (1 - drop), 0).astype(dtype)",
    passes={"squares": "sum of x * x", "scale": "rsqrt(squares / float(cols) + eps)"},
    metal={"out": "chance >= drop ? x * scale * weight / (1.0f - drop) : 0.0f"},
    flops=9,
    formula="out = rms_norm(x, weight, eps) / (1 - drop) where chance >= drop, and 0 elsewhere.",
    params={"eps": 1e-5, "drop": 0.1},
    ranges={"eps": EPS, "drop": Range(0.0, 0.9, usual=(0.1, 0.5))},
    cases=(
        (*VISIBLE, *cases("rows cols", (5, 48), drop=0.5)),
        (*HIDDEN, *cases("rows cols", (6, 70), drop=0.25)),
        BENCH,
    ),
)
layer_norm_dropout = rowwise(
    "layer_norm_dropout",
    "norms",
    (X, LEARNT, Tensor("bias", ("cols",)), KEPT),
    (OUT,),
    np=lambda x, weight, bias, chance, eps, drop: _kept(
        normal(x, eps) * weight + bias, chance, drop
    ),
    steps=lambda stored, x, weight, bias, chance, eps, drop: _kept(
        normal(x, eps) * weight + bias, chance, drop
    ),
    mlx="kept = chance.astype(mx.float32) >= mx.array(drop, dtype=mx.float32)\n"
    "wide = mx.fast.layer_norm(x.astype(mx.float32), weight.astype(mx.float32), "
    "bias.astype(mx.float32), eps)\n"
    "return mx.where(kept, wide / (1 - drop), 0).astype(dtype)",
    passes=MOMENTS,
    metal={"out": f"chance >= drop ? ({NORMAL} * weight + bias) / (1.0f - drop) : 0.0f"},
    flops=12,
    formula="out = layer_norm(x, weight, bias, eps) / (1 - drop) where chance >= drop, and 0 "
    "elsewhere.",
    params={"eps": 1e-5, "drop": 0.1},
    ranges={"eps": EPS, "drop": Range(0.0, 0.9, usual=(0.1, 0.5))},
    cases=(
        (*VISIBLE, *cases("rows cols", (5, 48), drop=0.5)),
        (*HIDDEN, *cases("rows cols", (6, 70), drop=0.25)),
        BENCH,
    ),
)
ada_layer_norm = rowwise(
    "ada_layer_norm",
    "norms",
    (
        Tensor("x", ("batch", "seq", "cols")),
        Tensor("gain", ("batch", "cols")),
        Tensor("offset", ("batch", "cols")),
    ),
    (Tensor("out", ("batch", "seq", "cols"), match=ROW),),
    np=lambda x, gain, offset, eps: normal(x, eps) * (1 + gain[:, None]) + offset[:, None],
    steps=lambda stored, x, gain, offset, eps: (
        stored(stored(normal(x, eps)) * stored(1 + gain[:, None])) + offset[:, None]
    ),
    mlx="mx.fast.layer_norm(x, None, None, eps) * (1 + gain[:, None]) + offset[:, None]",
    passes=MOMENTS,
    metal={"out": f"{NORMAL} * (1.0f + gain) + offset"},
    flops=10,
    params={"eps": 1e-6},
    ranges=RANGES,
    op_axes=axes("batch seq cols"),
    layout=Layout(
        ("batch", "seq"),
        "cols",
        "x_shape[2]",
        dict.fromkeys(("gain", "offset"), "size_t(row / x_shape[1]) * cols + c"),
    ),
    formula="out[b, s, c] = n (1 + gain[b, c]) + offset[b, c], n the row x[b, s] less its mean over"
    " its deviation, sqrt(variance + eps): the modulated norm of diffusion transformers.",
    cases=(
        (
            *cases("batch seq cols", (1, 1, 4), (2, 3, 64), (3, 5, 100), (2, 2, 1024)),
            *cases("batch seq cols", (2, 4, 33), eps=0.1),
        ),
        (
            *cases(
                "batch seq cols",
                *(
                    (0, 3, 8),
                    (2, 0, 8),
                    (1, 2, 1),
                    (5, 7, 31),
                    (2, 67, 3),
                    (3, 3, 257),
                    (1, 5, 1025),
                ),
                *((7, 1, 129), (2, 33, 65)),
            ),
            *cases("batch seq cols", (3, 2, 63), eps=0.5),
        ),
        (
            labelled("batch seq cols", "dit-b/2 256px, one image", 1, 256, 768),
            labelled("batch seq cols", "dit-xl/2 256px", 2, 256, 1152),
            labelled("batch seq cols", "dit-xl/2 512px", 2, 1024, 1152),
            labelled("batch seq cols", "sd3-medium 1024px", 2, 4096, 1536),
        ),
    ),
)
GROUPS = "batch groups width size"
group_norm = rowwise(
    "group_norm",
    "norms",
    (
        Tensor("x", ("batch", "groups", "width", "size")),
        Tensor("weight", ("groups", "width")),
        Tensor("bias", ("groups", "width")),
    ),
    (Tensor("out", ("batch", "groups", "width", "size"), match=Close("width * size")),),
    np=lambda x, weight, bias, eps: _group_norm(x, weight, bias, eps),
    steps=lambda stored, x, weight, bias, eps: _group_norm(x, weight, bias, eps, stored),
    mlx="rows = x.reshape(batch, groups, width * size)\n"
    "normal = mx.fast.layer_norm(rows, None, None, eps).reshape(batch, groups, width, size)\n"
    "return normal * weight[..., None] + bias[..., None]",
    passes=MOMENTS,
    metal={"out": f"{NORMAL} * weight + bias"},
    flops=8,
    params=EPS_OF,
    ranges=RANGES,
    op_axes=axes(GROUPS),
    layout=Layout(
        ("batch", "groups"),
        "width * size",
        "x_shape[2] * x_shape[3]",
        dict.fromkeys(("weight", "bias"), "row % x_shape[1] * x_shape[2] + c / x_shape[3]"),
    ),
    formula="Channels first: channel k of group g is x[b, g, k]. Mean and variance are those of "
    "all width * size elements of a group; out = (x - mean) / sqrt(variance + eps) * weight[g, k] "
    "+ bias[g, k]. width = 1 is the instance norm.",
    cases=(
        (
            *cases(GROUPS, (1, 1, 1, 4), (2, 4, 3, 16), (1, 2, 8, 64), (2, 5, 1, 100)),
            *cases(GROUPS, (1, 2, 4, 9), eps=0.1),
        ),
        (
            *cases(
                GROUPS,
                *(
                    (0, 2, 3, 4),
                    (2, 3, 4, 0),
                    (1, 2, 1, 1),
                    (3, 2, 5, 31),
                    (2, 7, 1, 257),
                    (1, 3, 67, 3),
                ),
                *((2, 2, 3, 341), (1, 1, 16, 65)),
            ),
            *cases(GROUPS, (2, 1, 3, 33), eps=0.5),
        ),
        (
            labelled(GROUPS, "sd-1.5 unet 8x8", 2, 32, 40, 64),
            labelled(GROUPS, "sd-1.5 unet 16x16", 2, 32, 40, 256),
            labelled(GROUPS, "sd-1.5 unet 32x32", 2, 32, 20, 1024),
            labelled(GROUPS, "sd-1.5 unet 64x64", 2, 32, 10, 4096),
        ),
    ),
)
l2_norm = rowwise(
    "l2_norm",
    "norms",
    (X,),
    (OUT,),
    np=lambda x, eps: x / np.sqrt(np.square(x).sum(axis=-1, keepdims=True) + eps),
    mlx="wide = x.astype(mx.float32)\n"
    "return (wide * mx.rsqrt(mx.sum(mx.square(wide), -1, keepdims=True) + eps)).astype(dtype)",
    passes={"squares": "sum of x * x", "scale": "rsqrt(squares + eps)"},
    metal={"out": "x * scale"},
    flops=3,
    params={"eps": 1e-6},
    ranges=RANGES,
    formula="out = x / sqrt(sum of x^2 over the row + eps).",
    cases=(
        VISIBLE,
        HIDDEN,
        (
            labelled("rows cols", "qwen3-next decode, keys of gated delta", 16, 128),
            labelled("rows cols", "qwen3-next prefill 512, keys of gated delta", 8192, 128),
        ),
    ),
)
recurrent_step = rowwise(
    "recurrent_step",
    "norms",
    (X, LEARNT, elements("gate")),
    (OUT,),
    np=lambda x, weight, gate, eps, rate: (
        x + rate * (lambda n: n * logistic(n))(rms(x, eps) * weight) * gate
    ),
    mlx="""
wide = x.astype(mx.float32)
n = mx.fast.rms_norm(wide, weight.astype(mx.float32), eps)
return (wide + rate * n * mx.sigmoid(n) * gate.astype(mx.float32)).astype(dtype)
""",
    passes={"squares": "sum of x * x", "scale": "rsqrt(squares / float(cols) + eps)"},
    metal={"out": "x + rate * gate * silu(x * scale * weight)"},
    helpers="inline float silu(float v) { return v / (1.0f + exp(-v)); }",
    flops=13,
    params={"eps": 1e-5, "rate": 0.5},
    ranges={"eps": EPS, "rate": Range(-2.0, 2.0, usual=(0.1, 1.0))},
    formula="out = x + rate silu(rms_norm(x, weight, eps)) gate, silu(v) = v / (1 + exp(-v)).",
    cases=(
        (*VISIBLE, *cases("rows cols", (5, 48), rate=-1.0)),
        (*HIDDEN, *cases("rows cols", (6, 70), rate=0.1)),
        BENCH,
    ),
)
grpo_advantage = rowwise(
    "grpo_advantage",
    "norms",
    (X,),
    (OUT,),
    np=lambda x, eps: (
        lambda c: c / (np.sqrt(np.square(c).sum(axis=-1, keepdims=True) / x.shape[-1]) + eps)
    )(x - x.sum(axis=-1, keepdims=True) / x.shape[-1]),
    steps=lambda stored, x, eps: (
        lambda c: c / (np.sqrt(np.square(c).sum(axis=-1, keepdims=True) / x.shape[-1]) + eps)
    )(x - x.sum(axis=-1, keepdims=True) / x.shape[-1]),
    mlx="""
wide = x.astype(mx.float32)
centred = wide - mx.mean(wide, -1, keepdims=True)
return (centred / (mx.sqrt(mx.mean(mx.square(centred), -1, keepdims=True)) + eps)).astype(dtype)
""",
    passes={
        **{name: MOMENTS[name] for name in ("total", "about", "drift", "squares", "shift")},
        "deviation": "sqrt(max(squares / float(cols) - shift * shift, 0.0f)) + eps",
    },
    metal={"out": "((x - about) - shift) / deviation"},
    flops=7,
    params={"eps": 1e-4},
    ranges={"eps": Range(1e-6, 0.5, usual=(1e-4, 1e-6))},
    op_axes=axes("rows", Axis("cols", least=1)),
    formula="Rewards of one prompt's answers a row: out = (x - mean) / (deviation + eps), the "
    "deviation that of the row itself, its squares divided by cols.",
    cases=(
        (
            *cases("rows cols", (1, 1), (4, 8), (3, 16), (8, 64)),
            *cases("rows cols", (2, 100), eps=0.01),
        ),
        (
            *cases("rows cols", (0, 8), (1, 2), (67, 3), (5, 7), (33, 31), (129, 16), (3, 257)),
            *cases("rows cols", (2, 1025), eps=0.1),
        ),
        (
            labelled("rows cols", "grpo, 512 prompts of 8 answers", 512, 8),
            labelled("rows cols", "grpo, 4096 prompts of 16 answers", 4096, 16),
        ),
    ),
)


def _group_norm(x: Any, weight: Any, bias: Any, eps: float, stored: Any = lambda v: v) -> Any:
    rows = normal(x.reshape(*x.shape[:2], x.shape[2] * x.shape[3]), eps)
    return stored(stored(rows.reshape(x.shape)) * weight[..., None]) + bias[..., None]
