"""Softmax over the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ops.axis import axes
from ops.declaring.cases import ROWS_HIDDEN, ROWS_VISIBLE, labelled
from ops.formulas import softmax_rows
from ops.matches import Close
from ops.spec import Op
from ops.workload import Tensor, Workload


def _softmax(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    return (softmax_rows(inputs["x"]),)


softmax = Op(
    name="softmax",
    family="softmax",
    formula="out[r, c] = exp(x[r, c] - m[r]) / sum_j exp(x[r, j] - m[r]), "
    "where m[r] = max_j x[r, j]. The maximum is subtracted, so that no finite x overflows.",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")),),
    outputs=(Tensor("out", ("rows", "cols"), match=Close("cols")),),
    oracle=_softmax,
    baselines={
        "mx.softmax precise": "mx.softmax(x, axis=-1, precise=True)",
        "mx.softmax": "mx.softmax(x, axis=-1)",
    },
    flops="rows * cols * 8",
    nonfinite="propagate",
    visible=ROWS_VISIBLE,
    hidden=ROWS_HIDDEN,
    bench=(
        labelled("rows cols", "smollm2-135m decode scores, 512 keys", 9, 512),
        labelled("rows cols", "llama-3.2-1b decode scores, 512 keys", 32, 512),
        labelled("rows cols", "qwen3-0.6b decode scores, 2048 keys", 16, 2048),
        labelled("rows cols", "smollm2-135m sampling", 1, 49152),
        labelled("rows cols", "llama-3.2-1b sampling", 1, 128256),
        labelled("rows cols", "smollm2-135m prefill scores, 128 tokens", 1152, 128),
        labelled("rows cols", "qwen3-0.6b sampling, batch 8", 8, 151936),
        labelled("rows cols", "llama-3.2-1b prefill scores, 512 tokens", 16384, 512),
    ),
)
