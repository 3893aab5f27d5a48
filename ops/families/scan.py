"""Scans over the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import axes
from ops.cases import ROWS_HIDDEN, ROWS_VISIBLE, labelled
from ops.matches import Close
from ops.spec import Op, Tensor, Workload


def _cumsum(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    return (np.cumsum(inputs["x"], axis=-1),)


cumsum = Op(
    name="cumsum",
    family="scan",
    formula="Inclusive prefix sum of each row: out[r, c] = sum of x[r, j] over j <= c. "
    "Sums are carried in float32 whatever the element type, and rounded once.",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")),),
    outputs=(Tensor("out", ("rows", "cols"), match=Close("cols")),),
    oracle=_cumsum,
    baselines={
        "mx.cumsum in float32": "mx.cumsum(x.astype(mx.float32), axis=-1).astype(dtype)",
        "mx.cumsum": "mx.cumsum(x, axis=-1)",
    },
    flops="rows * cols",
    visible=ROWS_VISIBLE,
    hidden=ROWS_HIDDEN,
    bench=(
        labelled("rows cols", "llama-3.2-1b packed documents, 2048 tokens", 1, 2048),
        labelled("rows cols", "llama-3.2-1b packed documents, 8 x 2048 tokens", 8, 2048),
        labelled("rows cols", "smollm2-135m top-p sampling", 1, 49152),
        labelled("rows cols", "llama-3.2-1b top-p sampling", 1, 128256),
        labelled("rows cols", "qwen3-0.6b top-p sampling", 1, 151936),
        labelled("rows cols", "smollm2-135m top-p sampling, batch 16", 16, 49152),
        labelled("rows cols", "llama-3.2-1b top-p sampling, batch 16", 16, 128256),
    ),
)
