"""Normalisation over the last axis, with a learnt weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.cases import ROWS_HIDDEN, ROWS_VISIBLE, cases, labelled
from ops.spec import Op, Tensor, Workload, param_value

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


def _scalars(workload: Workload) -> tuple[Any, Any]:
    # As arrays, not constants: then every workload of a dtype shares one compiled kernel.
    import mlx.core as mx

    return mx.array(workload.params["eps"]), mx.array(1.0 / max(workload.axes["cols"], 1))


def _rms_norm(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x, eps = inputs["x"], param_value(workload, "eps")
    mean_square = np.square(x).sum(axis=-1, keepdims=True) / max(workload.axes["cols"], 1)
    return (x / np.sqrt(mean_square + eps) * inputs["weight"],)


def _rms_norm_fast(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    import mlx.core as mx

    return (mx.fast.rms_norm(inputs["x"], inputs["weight"], workload.params["eps"]),)


def _rms_norm_compiled(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    return (_compiled_rms_norm()(inputs["x"], inputs["weight"], *_scalars(workload)),)


@cache
def _compiled_rms_norm() -> Callable[[Any, Any, Any, Any], Any]:
    import mlx.core as mx

    def rms_norm(x: Any, weight: Any, eps: Any, per_element: Any) -> Any:
        wide = x.astype(mx.float32)
        scale = mx.rsqrt(mx.sum(mx.square(wide), axis=-1, keepdims=True) * per_element + eps)
        return (wide * scale).astype(x.dtype) * weight

    compiled: Callable[[Any, Any, Any, Any], Any] = mx.compile(rms_norm)
    return compiled


def _layer_norm(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x, eps = inputs["x"], param_value(workload, "eps")
    count = max(workload.axes["cols"], 1)
    centred = x - x.sum(axis=-1, keepdims=True) / count
    variance = np.square(centred).sum(axis=-1, keepdims=True) / count
    return (centred / np.sqrt(variance + eps) * inputs["weight"] + inputs["bias"],)


def _layer_norm_fast(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    import mlx.core as mx

    x, weight, bias = inputs["x"], inputs["weight"], inputs["bias"]
    return (mx.fast.layer_norm(x, weight, bias, workload.params["eps"]),)


def _layer_norm_compiled(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    x, weight, bias = inputs["x"], inputs["weight"], inputs["bias"]
    return (_compiled_layer_norm()(x, weight, bias, *_scalars(workload)),)


@cache
def _compiled_layer_norm() -> Callable[[Any, Any, Any, Any, Any], Any]:
    import mlx.core as mx

    def layer_norm(x: Any, weight: Any, bias: Any, eps: Any, per_element: Any) -> Any:
        wide = x.astype(mx.float32)
        centred = wide - mx.sum(wide, axis=-1, keepdims=True) * per_element
        variance = mx.sum(mx.square(centred), axis=-1, keepdims=True) * per_element
        scale = mx.rsqrt(variance + eps)
        return (centred * scale).astype(x.dtype) * weight + bias

    compiled: Callable[[Any, Any, Any, Any, Any], Any] = mx.compile(layer_norm)
    return compiled


rms_norm = Op(
    name="rms_norm",
    family="norms",
    formula="out[r, c] = x[r, c] / sqrt(sum_j x[r, j]^2 / cols + eps) * weight[c].",
    axes=("rows", "cols"),
    inputs=(Tensor("x", ("rows", "cols")), Tensor("weight", ("cols",))),
    outputs=(Tensor("out", ("rows", "cols")),),
    params={"eps": 1e-5},
    oracle=_rms_norm,
    baselines={"mx.fast.rms_norm": _rms_norm_fast, "compiled": _rms_norm_compiled},
    flops="rows * cols * 4",
    reduction="cols",
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
    axes=("rows", "cols"),
    inputs=(Tensor("x", ("rows", "cols")), Tensor("weight", ("cols",)), Tensor("bias", ("cols",))),
    outputs=(Tensor("out", ("rows", "cols")),),
    params={"eps": 1e-5},
    oracle=_layer_norm,
    baselines={"mx.fast.layer_norm": _layer_norm_fast, "compiled": _layer_norm_compiled},
    flops="rows * cols * 8",
    reduction="cols",
    visible=VISIBLE,
    hidden=HIDDEN,
    bench=BENCH,
)
