"""Gated linear units: an activation of one tensor times another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from numpy.typing import NDArray

from ops.cases import ROWS_HIDDEN, ROWS_VISIBLE
from ops.families.elementwise import BENCH, sigmoid
from ops.spec import Op, Tensor, Workload


def _swiglu(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
    gate = inputs["gate"]
    return (gate * sigmoid(gate) * inputs["up"],)


def _swiglu_plain(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    import mlx.core as mx

    gate = inputs["gate"]
    return (gate * mx.sigmoid(gate) * inputs["up"],)


def _swiglu_compiled(inputs: Mapping[str, Any], workload: Workload) -> tuple[Any, ...]:
    return (_compiled_swiglu()(inputs["gate"], inputs["up"]),)


@cache
def _compiled_swiglu() -> Callable[[Any, Any], Any]:
    # As mlx_lm compiles it for every Llama-like model.
    import mlx.core as mx

    def swiglu(gate: Any, up: Any) -> Any:
        return gate * mx.sigmoid(gate) * up

    compiled: Callable[[Any, Any], Any] = mx.compile(swiglu, shapeless=True)
    return compiled


swiglu = Op(
    name="swiglu",
    family="glu",
    formula="out[r, c] = gate[r, c] * sigmoid(gate[r, c]) * up[r, c], "
    "where sigmoid(v) = 1 / (1 + exp(-v)).",
    axes=("rows", "cols"),
    inputs=(Tensor("gate", ("rows", "cols")), Tensor("up", ("rows", "cols"))),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=_swiglu,
    baselines={"plain": _swiglu_plain, "compiled": _swiglu_compiled},
    flops="rows * cols * 7",
    visible=ROWS_VISIBLE,
    hidden=ROWS_HIDDEN,
    bench=BENCH,
)
