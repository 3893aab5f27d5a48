"""Softmax with what stands around it: its gradient, its logarithm, a mask and a scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.declaring.cases import ROWS_HIDDEN, ROWS_VISIBLE, cases, labelled
from ops.families.forms.pointwise import elements
from ops.families.forms.rowwise import Layout, rowwise
from ops.families.rows.losses import LOGITS, SHAPES, SOFT, log_softmax_rows
from ops.fills import Bool, Simplex
from ops.matches import Close
from ops.parameters import Range
from ops.workload import Tensor

ROW = Close("cols")
SCORES = (
    labelled("rows cols", "smollm2-135m decode scores, 512 keys", 9, 512),
    labelled("rows cols", "qwen3-0.6b decode scores, 2048 keys", 16, 2048),
    labelled("rows cols", "smollm2-135m prefill scores, 128 tokens", 1152, 128),
    labelled("rows cols", "llama-3.2-1b prefill scores, 512 tokens", 16384, 512),
)


def _gradient(out: Any, dout: Any) -> Any:
    return out * (dout - (out * dout).sum(axis=-1, keepdims=True))


softmax_vjp = rowwise(
    "softmax_vjp",
    "softmax",
    (Tensor("out", ("rows", "cols"), fill=Simplex()), elements("dout")),
    (Tensor("dx", ("rows", "cols"), match=ROW),),
    np=_gradient,
    steps=lambda stored, out, dout: _gradient(out, dout),
    mlx="""
y, given = out.astype(mx.float32), dout.astype(mx.float32)
return (y * (given - mx.sum(y * given, axis=-1, keepdims=True))).astype(dtype)
""",
    passes={"total": "sum of out * dout"},
    metal={"dx": "out * (dout - total)"},
    flops=4,
    formula="dx[r, c] = out[r, c] (dout[r, c] - sum_j out[r, j] dout[r, j]), out the softmax.",
    layout=Layout(cols_metal="out_shape[1]"),
    gradient_of="softmax",
    cases=(
        ROWS_VISIBLE,
        tuple(c for c in ROWS_HIDDEN if c.axes["cols"]),
        SCORES,
    ),
)
log_softmax = rowwise(
    "log_softmax",
    "softmax",
    (elements("x"),),
    (Tensor("out", ("rows", "cols"), match=ROW),),
    np=log_softmax_rows,
    steps=lambda stored, x: log_softmax_rows(x),
    mlx={
        "in float32": "wide = x.astype(mx.float32)\n"
        "wide = wide - mx.max(wide, axis=-1, keepdims=True)\n"
        "return (wide - mx.logsumexp(wide, axis=-1, keepdims=True)).astype(dtype)",
        "mx.logsumexp": "x - mx.logsumexp(x, axis=-1, keepdims=True)",
    },
    passes=SOFT,
    metal={"out": "(x - peak) - log(total)"},
    flops=7,
    formula="out[r, c] = (x[r, c] - m) - log(sum_j exp(x[r, j] - m)), m the row's maximum.",
    op_axes=LOGITS,
    cases=SHAPES,
)


def _masked(x: Any, seen: Any, scale: float) -> Any:
    scores = np.where(seen, scale * x, -np.inf)
    peak = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    weight = np.exp(scores - np.where(np.isfinite(peak), peak, 0.0))
    total = weight.sum(axis=-1, keepdims=True)
    return weight / np.where(total > 0, total, 1.0)


masked_softmax = rowwise(
    "masked_softmax",
    "softmax",
    (elements("x"), Tensor("seen", ("rows", "cols"), "bool_", Bool())),
    (Tensor("out", ("rows", "cols"), match=ROW),),
    np=_masked,
    mlx="""
wide = mx.where(seen, scale * x.astype(mx.float32), -3e38)
weight = mx.where(seen, mx.exp(wide - mx.max(wide, axis=-1, keepdims=True)), 0)
return (weight / mx.maximum(mx.sum(weight, axis=-1, keepdims=True), 1e-30)).astype(dtype)
""",
    passes={
        "peak": "max of (seen ? scale * x : -3.4e38f)",
        "total": "sum of (seen ? exp(scale * x - peak) : 0.0f)",
    },
    metal={"out": "seen ? exp(scale * x - peak) / total : 0.0f"},
    flops=10,
    params={"scale": 0.125},
    ranges={"scale": Range(-1.0, 1.0, usual=(0.0, 0.0625, 0.125, 1.0))},
    formula="p = exp(scale x) over the sum of exp(scale x) of the columns that are seen, 0 where "
    "not; a row that sees no column gives zeros.",
    cases=(
        (*ROWS_VISIBLE, *cases("rows cols", (5, 48), scale=1.0)),
        (*ROWS_HIDDEN, *cases("rows cols", (6, 70), scale=-0.5)),
        SCORES,
    ),
)
