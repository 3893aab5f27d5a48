"""Selections over the last axis: outputs are elements of the input, and compared exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.matches import Exact
from ops.spec import Op
from ops.workload import Tensor, Workload

AXES = "rows cols k"
# MLX refuses to differentiate through the places of a gather, which depend on x here.
ARGSORT = """
indices = mx.stop_gradient(mx.argsort(-x, axis=-1)[:, :k])
return mx.take_along_axis(x, indices, axis=-1), indices
"""
# Partition, then sort the k that are left. Where equal values straddle the k-th place it keeps any
# of them: an easier job than the op's, so as a bar for timing it is only harder to beat.
ARGPARTITION = """
found = mx.argpartition(-x, kth=k - 1, axis=-1)[:, :k]
values = mx.take_along_axis(x, found, axis=-1)
order = mx.argsort(-values, axis=-1)
return mx.take_along_axis(values, order, axis=-1), mx.take_along_axis(found, order, axis=-1)
"""


def _topk(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    x = inputs["x"]
    # A stable ascending sort of -x is a descending sort of x with ties in order of index.
    indices = np.argsort(-x, axis=-1, kind="stable")[:, : workload.axes["k"]]
    return np.take_along_axis(x, indices, axis=-1), indices.astype(np.uint32)


topk = Op(
    name="topk",
    family="selection",
    formula="The k largest elements of each row, largest first: "
    "values[r, i] = x[r, indices[r, i]]. Equal elements are ordered by index, "
    "the lowest first (-0.0 equals 0.0). "
    "Both outputs are exact; indices are uint32.",
    axes=axes("rows cols", Axis("k", compiled=True, tried_to=512)),
    inputs=(Tensor("x", ("rows", "cols")),),
    outputs=(
        Tensor("values", ("rows", "k"), match=Exact()),
        Tensor("indices", ("rows", "k"), dtype="uint32", match=Exact()),
    ),
    constraints=("k <= cols",),
    oracle=_topk,
    baselines={"mx.argsort": ARGSORT, "mx.argpartition": ARGPARTITION},
    flops="rows * cols * 2",
    # Few k: kernels take it as a constant, and every value is compiled on its own.
    visible=cases(
        AXES, (1, 1, 1), (4, 64, 4), (8, 128, 8), (3, 100, 1), (2, 500, 40), (1, 2048, 40)
    ),
    hidden=cases(
        AXES,
        *((0, 8, 2), (3, 5, 0), (2, 0, 0), (1, 2, 1), (67, 3, 2), (2, 7, 7), (5, 31, 1)),
        *((7, 129, 7), (1, 127, 127), (3, 257, 33), (2, 1023, 33), (1, 4099, 33), (129, 65, 7)),
    ),
    bench=(
        labelled(AXES, "qwen3-30b-a3b router decode", 1, 128, 8),
        labelled(AXES, "qwen3-30b-a3b router prefill 128", 128, 128, 8),
        labelled(AXES, "smollm2-135m top-k sampling", 1, 49152, 40),
        labelled(AXES, "llama-3.2-1b top-k sampling", 1, 128256, 40),
        labelled(AXES, "qwen3-0.6b top-k sampling", 1, 151936, 20),
        labelled(AXES, "smollm2-135m top-k sampling, batch 16", 16, 49152, 40),
        labelled(AXES, "llama-3.2-1b top-k sampling, batch 16", 16, 128256, 40),
    ),
)
