"""Normalisation over the last axis, with a learnt weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import axes
from ops.baselines import Baseline
from ops.declaring.cases import ROWS_HIDDEN, ROWS_VISIBLE, cases, labelled
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op, Stored, unrounded
from ops.workload import Tensor, Workload, param_value

EPS = Range(1e-12, 0.5, usual=(1e-8, 1e-6, 1e-5))
VISIBLE = (*ROWS_VISIBLE, *cases("rows cols", (4, 96), eps=1e-2))
HIDDEN = (
    *ROWS_HIDDEN,
    *cases("rows cols", (9, 65), eps=0.5),
    *cases("rows cols", (3, 576), eps=1e-6),
)
BENCH = (
    labelled("rows cols", "smollm2-135m decode", 1, 576),
    labelled("rows cols", "qwen3-0.6b decode", 1, 1024, eps=1e-6),
    labelled("rows cols", "qwen3-0.6b decode, query norm", 16, 128, eps=1e-6),
    labelled("rows cols", "llama-3.2-1b decode", 1, 2048),
    labelled("rows cols", "llama-3.2-1b decode, batch 8", 8, 2048),
    labelled("rows cols", "smollm2-135m prefill 128", 128, 576),
    labelled("rows cols", "qwen3-0.6b prefill 512", 512, 1024, eps=1e-6),
    labelled("rows cols", "llama-3.2-1b prefill 512", 512, 2048),
    labelled("rows cols", "llama-3.2-1b prefill 2048", 2048, 2048),
)
"""Hidden states: one row a token, `cols` the width of the model."""
RMS_NORM = """
wide = x.astype(mx.float32)
scale = mx.rsqrt(mx.mean(mx.square(wide), axis=-1, keepdims=True) + eps)
return (wide * scale).astype(dtype) * weight
"""


def _rms_norm(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x, eps = inputs["x"], param_value(workload, "eps")
    mean_square = np.square(x).sum(axis=-1, keepdims=True) / max(workload.axes["cols"], 1)
    return (x / np.sqrt(mean_square + eps) * inputs["weight"],)


def _layer_norm(
    inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored = unrounded
) -> tuple[NDArray[Any], ...]:
    x, eps = inputs["x"], param_value(workload, "eps")
    count = max(workload.axes["cols"], 1)
    centred = x - x.sum(axis=-1, keepdims=True) / count
    variance = np.square(centred).sum(axis=-1, keepdims=True) / count
    # mx.fast.layer_norm rounds before the weight, and again before the bias.
    normal = stored(centred / np.sqrt(variance + eps))
    return (stored(normal * inputs["weight"]) + inputs["bias"],)


rms_norm = Op(
    name="rms_norm",
    family="norms",
    formula="out[r, c] = x[r, c] / sqrt(sum_j x[r, j]^2 / cols + eps) * weight[c].",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")), Tensor("weight", ("cols",))),
    outputs=(Tensor("out", ("rows", "cols"), match=Close("cols")),),
    params={"eps": 1e-5},
    ranges={"eps": EPS},
    oracle=_rms_norm,
    baselines={
        "mx.fast.rms_norm": "mx.fast.rms_norm(x, weight, eps)",
        "compiled": Baseline(RMS_NORM, compiled=True, traced=("eps",)),
    },
    flops="rows * cols * 4",
    nonfinite="nan",
    visible=VISIBLE,
    hidden=HIDDEN,
    bench=BENCH,
)

layer_norm = Op(
    name="layer_norm",
    family="norms",
    formula="out[r, c] = (x[r, c] - u[r]) / sqrt(v[r] + eps) * weight[c] + bias[c], "
    "where u[r] = sum_j x[r, j] / cols and v[r] = sum_j (x[r, j] - u[r])^2 / cols. "
    "The mean may be far larger than the deviation: mean(x^2) - mean(x)^2 cancels.",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")), Tensor("weight", ("cols",)), Tensor("bias", ("cols",))),
    outputs=(Tensor("out", ("rows", "cols"), match=Close("cols")),),
    params={"eps": 1e-5},
    ranges={"eps": EPS},
    oracle=_layer_norm,
    steps=_layer_norm,
    baselines={"mx.fast.layer_norm": "mx.fast.layer_norm(x, weight, bias, eps)"},
    flops="rows * cols * 8",
    nonfinite="nan",
    visible=VISIBLE,
    hidden=HIDDEN,
    bench=BENCH,
)
