"""Gated linear units: an activation of one tensor times another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ops.axis import axes
from ops.baselines import Baseline
from ops.cases import ROWS_HIDDEN, ROWS_VISIBLE
from ops.families.elementwise import BENCH, sigmoid
from ops.spec import Op, Tensor, Workload

SWIGLU = "gate * mx.sigmoid(gate) * up"


def _swiglu(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    gate = inputs["gate"]
    return (gate * sigmoid(gate) * inputs["up"],)


swiglu = Op(
    name="swiglu",
    family="glu",
    formula="out[r, c] = gate[r, c] * sigmoid(gate[r, c]) * up[r, c], "
    "where sigmoid(v) = 1 / (1 + exp(-v)).",
    axes=axes("rows cols"),
    inputs=(Tensor("gate", ("rows", "cols")), Tensor("up", ("rows", "cols"))),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=_swiglu,
    # mlx_lm compiles it for every Llama-like model.
    baselines={"plain": SWIGLU, "compiled": Baseline(SWIGLU, compiled=True)},
    flops="rows * cols * 7",
    visible=ROWS_VISIBLE,
    hidden=ROWS_HIDDEN,
    bench=BENCH,
)
