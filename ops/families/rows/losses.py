"""Losses over rows of logits, their gradients, and the losses of a router."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.pointwise import elements
from ops.families.forms.rowwise import Layout, rowwise
from ops.fills import Index, Simplex
from ops.formulas import softmax_rows
from ops.matches import Close
from ops.parameters import Range
from ops.workload import Tensor

ROW = Close("cols")
LOGITS = axes("rows", Axis("cols", least=1))
TARGET = Tensor("target", ("rows",), "uint32", Index("cols"))
PER_ROW = Tensor("out", ("rows",), match=ROW)
SOFT = {"peak": "max of x", "total": "sum of exp(x - peak)"}
SHAPES = (
    cases("rows cols", (1, 1), (4, 64), (8, 128), (3, 100), (2, 1024), (1, 4096)),
    cases(
        "rows cols",
        *((0, 64), (1, 2), (67, 1), (1, 31), (7, 33), (5, 127), (3, 257), (521, 3), (2, 1025)),
        *((3, 2047), (129, 65), (1, 8209)),
    ),
    (
        labelled("rows cols", "smollm2-135m, 2 tokens", 2, 49152),
        labelled("rows cols", "smollm2-135m, 16 tokens", 16, 49152),
        labelled("rows cols", "llama-3.2-1b, 16 tokens", 16, 128256),
        labelled("rows cols", "smollm2-135m, 128 tokens", 128, 49152),
        labelled("rows cols", "qwen3-0.6b, 128 tokens", 128, 151936),
    ),
)
"""Logits: one row a token, a column an entry of the vocabulary."""


def log_softmax_rows(x: Any) -> Any:
    """Each element less the logarithm of the sum of exp(x), along the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _at(x: Any, target: Any) -> Any:
    return np.take_along_axis(x, target[:, None].astype(np.int64), axis=-1)[:, 0]


def _hot(x: Any, target: Any) -> Any:
    return np.arange(x.shape[-1])[None] == target[:, None]


cross_entropy = rowwise(
    "cross_entropy",
    "losses",
    (elements("x"), TARGET),
    (PER_ROW,),
    np=lambda x, target: -_at(log_softmax_rows(x), target),
    steps=lambda stored, x, target: (
        np.log(np.exp(x - x.max(axis=-1, keepdims=True)).sum(axis=-1))
        + (x.max(axis=-1) - _at(x, target))
    ),
    mlx={
        "in float32": "wide = x.astype(mx.float32)\n"
        "peak = mx.max(wide, axis=-1, keepdims=True)\n"
        "picked = mx.take_along_axis(wide - peak, target[:, None], axis=-1)[:, 0]\n"
        "return (mx.logsumexp(wide - peak, axis=-1) - picked).astype(dtype)",
        "mx.logsumexp": "mx.logsumexp(x, axis=-1) - "
        "mx.take_along_axis(x, target[:, None], axis=-1)[:, 0]",
        "mx.fast.cross_entropy": "mx.fast.cross_entropy(x, target).astype(dtype)",
    },
    passes={**SOFT, "picked": "sum of (c == target ? x - peak : 0.0f)"},
    metal={"out": "log(total) - picked"},
    flops=6,
    formula="out[r] = log(sum_j exp(x[r, j])) - x[r, target[r]], finite for every finite x.",
    op_axes=LOGITS,
    cases=SHAPES,
)
cross_entropy_vjp = rowwise(
    "cross_entropy_vjp",
    "losses",
    (elements("x"), TARGET, Tensor("dout", ("rows",))),
    (Tensor("dx", ("rows", "cols"), match=ROW),),
    np=lambda x, target, dout: (softmax_rows(x) - _hot(x, target)) * dout[:, None],
    steps=lambda stored, x, target, dout: (softmax_rows(x) - _hot(x, target)) * dout[:, None],
    mlx="""
soft = mx.softmax(x.astype(mx.float32), axis=-1)
hot = mx.arange(cols)[None] == target[:, None]
return ((soft - hot) * dout.astype(mx.float32)[:, None]).astype(dtype)
""",
    passes=SOFT,
    metal={"dx": "(exp(x - peak) / total - (c == target ? 1.0f : 0.0f)) * dout"},
    flops=8,
    formula="dx[r, c] = (softmax(x[r])[c] - (c == target[r])) dout[r].",
    gradient_of="cross_entropy",
    op_axes=LOGITS,
    cases=SHAPES,
)
kl_divergence = rowwise(
    "kl_divergence",
    "losses",
    (elements("x"), elements("y")),
    (PER_ROW,),
    np=lambda x, y: _divergence(log_softmax_rows(x), log_softmax_rows(y)),
    steps=lambda stored, x, y: _divergence_by_passes(x, y),
    mlx="""
p = x.astype(mx.float32) - mx.logsumexp(x.astype(mx.float32), axis=-1, keepdims=True)
q = y.astype(mx.float32) - mx.logsumexp(y.astype(mx.float32), axis=-1, keepdims=True)
return mx.sum(mx.exp(p) * (p - q), axis=-1).astype(dtype)
""",
    passes={
        "peak": "max of x",
        "other": "max of y",
        "total": "sum of exp(x - peak)",
        "others": "sum of exp(y - other)",
        "apart": "log(others) - log(total)",
        "mean": "sum of exp(x - peak) * ((x - peak) - (y - other) + apart)",
    },
    metal={"out": "mean / total"},
    flops=18,
    formula="out[r] = sum_c p (log p - log q), p = softmax(x[r]) of the teacher and q = "
    "softmax(y[r]) of the student: the divergence that distillation makes small.",
    op_axes=LOGITS,
    cases=SHAPES,
)
z_loss = rowwise(
    "z_loss",
    "losses",
    (elements("x"),),
    (PER_ROW,),
    np=lambda x: np.square(np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1)) + x.max(-1)),
    mlx="mx.square(mx.logsumexp(x.astype(mx.float32), axis=-1)).astype(dtype)",
    steps=lambda stored, x: np.square(
        np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1)) + x.max(-1)
    ),
    passes=SOFT,
    metal={"out": "(peak + log(total)) * (peak + log(total))"},
    flops=6,
    formula="out[r] = log(sum_j exp(x[r, j]))^2: keeps the logits of a router or a head small.",
    op_axes=LOGITS,
    cases=SHAPES,
)
speculative_residual = rowwise(
    "speculative_residual",
    "sampling",
    (
        Tensor("target", ("rows", "cols"), fill=Simplex()),
        Tensor("draft", ("rows", "cols"), fill=Simplex()),
    ),
    (Tensor("out", ("rows", "cols"), match=ROW),),
    np=lambda target, draft, floor: (
        np.maximum(target - draft, 0.0)
        / np.maximum(np.maximum(target - draft, 0.0).sum(axis=-1, keepdims=True), floor)
    ),
    steps=lambda stored, target, draft, floor: (
        np.maximum(target - draft, 0.0)
        / np.maximum(np.maximum(target - draft, 0.0).sum(axis=-1, keepdims=True), floor)
    ),
    mlx="""
left = mx.maximum(target.astype(mx.float32) - draft.astype(mx.float32), 0)
return (left / mx.maximum(mx.sum(left, axis=-1, keepdims=True), floor)).astype(dtype)
""",
    passes={"total": "sum of max(target - draft, 0.0f)"},
    metal={"out": "max(target - draft, 0.0f) / max(total, floor)"},
    flops=4,
    params={"floor": 1e-6},
    ranges={"floor": Range(1e-9, 1e-2, usual=(1e-6, 1e-9))},
    formula="After a draft token was refused, the next is drawn from out = max(target - draft, 0) "
    "over the larger of its row sum and floor.",
    layout=Layout(cols_metal="target_shape[1]"),
    op_axes=LOGITS,
    cases=(
        (*SHAPES[0], *cases("rows cols", (2, 96), floor=1e-3)),
        (*SHAPES[1], *cases("rows cols", (5, 63), floor=1e-2)),
        (labelled("rows cols", "smollm2-135m, a draft token", 1, 49152), *SHAPES[2][1:]),
    ),
)


def _divergence(p: Any, q: Any) -> Any:
    return (np.exp(p) * (p - q)).sum(axis=-1)


def _divergence_by_passes(x: Any, y: Any) -> Any:
    a, b = x - x.max(axis=-1, keepdims=True), y - y.max(axis=-1, keepdims=True)
    total = np.exp(a).sum(axis=-1, keepdims=True)
    apart = np.log(np.exp(b).sum(axis=-1, keepdims=True)) - np.log(total)
    return ((np.exp(a) * (a - b + apart)) / total).sum(axis=-1)
