"""Gated linear units: an activation of one tensor times another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ops.declaring.cases import Values
from ops.declaring.members import Formula
from ops.families.forms.pointwise import NONE, elements, gradient, pointwise
from ops.families.pointwise.elementwise import NORMAL_SHARE
from ops.formulas import (
    gelu_erf_by_the_book,
    gelu_tanh,
    gelu_tanh_by_the_book,
    logistic,
    normal_share,
)
from ops.spec import Nonfinite, Op


def glu(
    name: str,
    *,
    np: Formula,
    mlx: str,
    metal: str,
    flops: int,
    helpers: str = "",
    params: Mapping[str, Values] = NONE,
    formula: str = "",
    steps: Formula | None = None,
    nonfinite: Nonfinite = "undefined",
) -> Op:
    """An op of two inputs, `gate` and `up`: `out = activation(gate) * up`; see `elementwise`."""
    return pointwise(
        name,
        "glu",
        (elements("gate"), elements("up")),
        {"out": metal},
        np=np,
        mlx=mlx,
        flops=flops,
        helpers=helpers,
        params=params,
        formula=formula,
        steps=steps,
        nonfinite=nonfinite,
    )


swiglu = glu(
    "swiglu",
    np=lambda gate, up: gate * logistic(gate) * up,
    mlx="gate * mx.sigmoid(gate) * up",  # mlx_lm compiles it for every Llama-like model
    metal="gate / (1.0f + exp(-gate)) * up",
    flops=7,
    formula="out[r, c] = gate[r, c] * sigmoid(gate[r, c]) * up[r, c], "
    "where sigmoid(v) = 1 / (1 + exp(-v)).",
    nonfinite="propagate",
)
geglu = glu(
    "geglu",
    np=lambda gate, up: gelu_tanh(gate) * up,
    steps=lambda gate, up: gelu_tanh_by_the_book(gate) * up,
    mlx="gate * mx.sigmoid(math.sqrt(8 / math.pi) * (gate + 0.044715 * gate**3)) * up",
    metal="gate / (1.0f + exp(-1.59576912f * (gate + 0.044715f * gate * gate * gate))) * up",
    flops=13,
    formula="out = gelu(gate) * up, where gelu(v) = 0.5 v (1 + tanh(sqrt(2 / pi) (v + 0.044715 "
    "v^3))). Where 1 + tanh cancels, v / (1 + exp(-2 u)) does not.",
    nonfinite="propagate",
)
geglu_erf = glu(
    "geglu_erf",
    np=lambda gate, up: gate * normal_share(gate) * up,
    steps=lambda gate, up: gelu_erf_by_the_book(gate) * up,
    mlx="gate * (1 + mx.erf(gate / math.sqrt(2))) / 2 * up",
    metal="gate * normal_share(gate) * up",
    helpers=NORMAL_SHARE,
    flops=31,
    formula="out = 0.5 gate (1 + erf(gate / sqrt(2))) * up. Metal has no erf.",
)
reglu = glu(
    "reglu",
    np=lambda gate, up: np.maximum(gate, 0.0) * up,
    mlx="mx.maximum(gate, 0) * up",
    metal="max(gate, 0.0f) * up",
    flops=2,
)
sigmoid_glu = glu(
    "sigmoid_glu",
    np=lambda gate, up: logistic(gate) * up,
    mlx="mx.sigmoid(gate) * up",
    metal="up / (1.0f + exp(-gate))",
    flops=7,
    nonfinite="propagate",
)
swiglu_vjp = gradient(
    swiglu,
    np=lambda gate, up, dout: (
        dout * up * logistic(gate) * (1.0 + gate * logistic(-gate)),
        dout * gate * logistic(gate),
    ),
    mlx="s = mx.sigmoid(gate)\nreturn dout * up * s * (1 + gate * (1 - s)), dout * gate * s",
    metal={
        "dgate": "dout * up * ((1.0f + gate / (1.0f + exp(gate))) / (1.0f + exp(-gate)))",
        "dup": "dout * gate / (1.0f + exp(-gate))",
    },
    flops=22,
)
