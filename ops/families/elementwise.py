"""Elementwise ops: one output element from one input element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import axes
from ops.baselines import Baseline
from ops.cases import ROWS_HIDDEN, ROWS_VISIBLE, labelled
from ops.spec import Op, Tensor, Workload

BENCH = (
    labelled("rows cols", "smollm2-135m decode", 1, 1536),
    labelled("rows cols", "qwen3-0.6b decode", 1, 3072),
    labelled("rows cols", "llama-3.2-1b decode", 1, 8192),
    labelled("rows cols", "llama-3.2-1b decode, batch 8", 8, 8192),
    labelled("rows cols", "smollm2-135m prefill 128", 128, 1536),
    labelled("rows cols", "qwen3-0.6b prefill 512", 512, 3072),
    labelled("rows cols", "llama-3.2-1b prefill 512", 512, 8192),
)
"""Feed-forward activations: one row a token, `cols` the width of the feed-forward layer."""
SILU = "x * mx.sigmoid(x)"


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-x)) without overflow for any finite x."""
    decay = np.exp(-np.abs(x))
    result: NDArray[Any] = np.where(x >= 0, 1.0, decay) / (1.0 + decay)
    return result


def _silu(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x = inputs["x"]
    return (x * sigmoid(x),)


silu = Op(
    name="silu",
    family="elementwise",
    formula="out[r, c] = x[r, c] * sigmoid(x[r, c]), where sigmoid(v) = 1 / (1 + exp(-v)). "
    "Finite for every finite x: large negative x gives 0, large positive x gives x.",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")),),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=_silu,
    # The second is mlx.nn.silu.
    baselines={"plain": SILU, "compiled": Baseline(SILU, compiled=True)},
    flops="rows * cols * 6",
    visible=ROWS_VISIBLE,
    hidden=ROWS_HIDDEN,
    bench=BENCH,
)
