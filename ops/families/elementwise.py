"""Elementwise ops: one output element from one input element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-x)) without overflow for any finite x."""
    decay = np.exp(-np.abs(x))
    result: NDArray[Any] = np.where(x >= 0, 1.0, decay) / (1.0 + decay)
    return result


def _silu(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x = inputs["x"]
    return (x * sigmoid(x),)


def _silu_plain(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    import mlx.core as mx

    x = inputs["x"]
    return (x * mx.sigmoid(x),)


def _silu_compiled(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    return (_compiled_silu()(inputs["x"]),)


@cache
def _compiled_silu() -> Callable[[Any], Any]:
    # The expression of mlx.nn.silu, which is compiled the same way.
    import mlx.core as mx

    def silu(x: Any) -> Any:
        return x * mx.sigmoid(x)

    compiled: Callable[[Any], Any] = mx.compile(silu, shapeless=True)
    return compiled


silu = Op(
    name="silu",
    family="elementwise",
    formula="out[r, c] = x[r, c] * sigmoid(x[r, c]), where sigmoid(v) = 1 / (1 + exp(-v)). "
    "Finite for every finite x: large negative x gives 0, large positive x gives x.",
    axes=("rows", "cols"),
    inputs=(Tensor("x", ("rows", "cols")),),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=_silu,
    baselines={"plain": _silu_plain, "compiled": _silu_compiled},
    flops="rows * cols * 6",
    visible=ROWS_VISIBLE,
    hidden=ROWS_HIDDEN,
    bench=BENCH,
)
