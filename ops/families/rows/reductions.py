"""Reductions of rows: one value of each row, by one pass over it or several."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import ROWS_HIDDEN, ROWS_VISIBLE, labelled
from ops.declaring.members import Formula, oracle
from ops.matches import Close, Exact, Match
from ops.spec import Nonfinite, Op
from ops.workload import Tensor

KINDS = ("sum", "max", "min")
_PASS = re.compile(rf"({'|'.join(KINDS)}) of (.+)", re.DOTALL)


def reduction(
    name: str,
    *,
    np: Formula,
    mlx: str,
    passes: Mapping[str, str],
    metal: str,
    flops: int,
    match: Match | None = None,
    formula: str = "",
    nonfinite: Nonfinite = "undefined",
) -> Op:
    """An op that gives one value `out[r]` of each row of `x`, which has one column at least.

    Args:
        name: Name of the op.
        np: float64 formula of `x`, such as `lambda x: x.sum(axis=-1)`.
        mlx: The same as MLX text.
        passes: What is reduced, in order, each a name and a text such as `sum of exp(x - peak)`:
            a Metal expression over the float `x`, the passes before it and `cols`.
        metal: Metal expression of the value, over the passes and `cols`.
        flops: FLOPs of one element of `x`.
        match: How the output is compared; None: as a sum over the columns.
        formula: The mathematics for a proposer; empty: passes and Metal expression.
        nonfinite: What comes of NaN and infinities; see `Op`.

    Raises:
        ValueError: A pass that does not say what is reduced, and how.
    """
    said = "; ".join(f"{each} = the {text} over the row" for each, text in passes.items())
    return Op(
        name=name,
        family="reductions",
        formula=formula or f"For each row x: {said}; out = {metal}.",
        axes=axes("rows", Axis("cols", least=1)),
        inputs=(Tensor("x", ("rows", "cols")),),
        outputs=(Tensor("out", ("rows",), match=match or Close("cols")),),
        oracle=oracle(np, ["x"]),
        baselines={"plain": mlx},
        flops=f"rows * cols * {flops}",
        visible=ROWS_VISIBLE,
        hidden=tuple(case for case in ROWS_HIDDEN if case.axes["cols"]),
        bench=(
            labelled("rows cols", "smollm2-135m decode", 1, 576),
            labelled("rows cols", "smollm2-135m sampling", 1, 49152),
            labelled("rows cols", "llama-3.2-1b sampling", 1, 128256),
            labelled("rows cols", "llama-3.2-1b prefill 512", 512, 2048),
        ),
        metal={"passes": [_pass(each, text) for each, text in passes.items()], "value": metal},
        nonfinite=nonfinite,
    )


def _pass(name: str, text: str) -> dict[str, str]:
    found = _PASS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"pass '{name}' is '{text}'; write it as 'sum of x' or 'max of abs(x)'")
    return {"name": name, "kind": found[1], "value": found[2]}


row_sum = reduction(
    "row_sum",
    np=lambda x: x.sum(axis=-1),
    mlx="mx.sum(x.astype(mx.float32), axis=-1).astype(dtype)",
    passes={"total": "sum of x"},
    metal="total",
    flops=1,
    nonfinite="propagate",
)
row_max = reduction(
    "row_max",
    np=lambda x: x.max(axis=-1),
    mlx="mx.max(x, axis=-1)",
    passes={"peak": "max of x"},
    metal="peak",
    flops=1,
    match=Exact(),
)
row_mean = reduction(
    "row_mean",
    np=lambda x: x.sum(axis=-1) / x.shape[-1],
    mlx="mx.mean(x.astype(mx.float32), axis=-1).astype(dtype)",
    passes={"total": "sum of x"},
    metal="total / float(cols)",
    flops=1,
    nonfinite="propagate",
)
row_logsumexp = reduction(
    "row_logsumexp",
    np=lambda x: np.log(np.exp(x - x.max(axis=-1, keepdims=True)).sum(axis=-1)) + x.max(axis=-1),
    mlx="mx.logsumexp(x.astype(mx.float32), axis=-1).astype(dtype)",
    passes={"peak": "max of x", "total": "sum of exp(x - peak)"},
    metal="peak + log(total)",
    flops=6,
    nonfinite="propagate",
)
row_l2 = reduction(
    "row_l2",
    np=lambda x: np.sqrt(np.square(x).sum(axis=-1)),
    mlx="mx.sqrt(mx.sum(mx.square(x.astype(mx.float32)), axis=-1)).astype(dtype)",
    passes={"total": "sum of x * x"},
    metal="sqrt(total)",
    flops=2,
    nonfinite="propagate",
)
