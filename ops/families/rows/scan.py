"""Scans over the last axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import axes
from ops.declaring.cases import ROWS_HIDDEN, ROWS_VISIBLE, labelled
from ops.declaring.members import Formula, oracle
from ops.matches import Close, Exact, Match
from ops.spec import Nonfinite, Op
from ops.workload import Tensor, Workload


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
    nonfinite="propagate",
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


def scan(
    name: str,
    *,
    np: Formula,
    mlx: str,
    metal: str,
    start: str,
    flops: int = 1,
    backwards: bool = False,
    match: Match | None = None,
    formula: str = "",
    nonfinite: Nonfinite = "undefined",
    gradient_of: str = "",
) -> Op:
    """An inclusive scan of each row by an associative function of `a` and `b`.

    Args:
        name: Name of the op.
        np: float64 formula of `x`, such as `lambda x: np.cumsum(x, axis=-1)`.
        mlx: The same as MLX text.
        metal: Metal expression of what follows from `a`, which comes first, and `b`.
        start: Metal expression of the value that changes nothing.
        flops: FLOPs of one element.
        backwards: Whether rows are run through from the end.
        match: How the output is compared; None: as a sum over the columns.
        formula: The mathematics for a proposer; empty: the Metal expression.
        nonfinite: What comes of NaN and infinities; see `Op`.
        gradient_of: Name of the op whose gradient it is; then it takes `dout` and gives `dx`, which
            `np` and `mlx` speak of.
    """
    given, found = ("dout", "dx") if gradient_of else ("x", "out")
    way = "from the end of its row" if backwards else "from the beginning of its row"
    return replace(
        cumsum,
        name=name,
        formula=formula or f"{found}[r, c] joins the elements {way} up to it: a, b -> {metal}.",
        inputs=(Tensor(given, ("rows", "cols")),),
        outputs=(Tensor(found, ("rows", "cols"), match=match or Close("cols")),),
        oracle=oracle(np, [given]),
        baselines={"plain": mlx},
        flops=f"rows * cols * {flops}",
        metal={"value": metal, "start": start, "backwards": backwards},
        nonfinite=nonfinite,
        gradient_of=gradient_of,
    )


cumsum_vjp = scan(
    "cumsum_vjp",
    np=lambda dout: np.cumsum(dout[:, ::-1], axis=-1)[:, ::-1],
    mlx="mx.cumsum(dout.astype(mx.float32), axis=-1, reverse=True).astype(dtype)",
    metal="a + b",
    start="0.0f",
    backwards=True,
    nonfinite="propagate",
    gradient_of="cumsum",
)
cumsum_reverse_vjp = scan(
    "cumsum_reverse_vjp",
    np=lambda dout: np.cumsum(dout, axis=-1),
    mlx="mx.cumsum(dout.astype(mx.float32), axis=-1).astype(dtype)",
    metal="a + b",
    start="0.0f",
    nonfinite="propagate",
    gradient_of="cumsum_reverse",
)
cumsum_reverse = scan(
    "cumsum_reverse",
    np=lambda x: np.cumsum(x[:, ::-1], axis=-1)[:, ::-1],
    mlx="mx.cumsum(x.astype(mx.float32), axis=-1, reverse=True).astype(dtype)",
    metal="a + b",
    start="0.0f",
    backwards=True,
    nonfinite="propagate",
)
cummax = scan(
    "cummax",
    np=lambda x: np.maximum.accumulate(x, axis=-1),
    mlx="mx.cummax(x, axis=-1)",
    metal="max(a, b)",
    start="-INFINITY",
    match=Exact(),
)
