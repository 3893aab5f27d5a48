"""Ops of odd inputs: packed words, segments, options, type variables, caches, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops import Axis, Case, Exact, Op, Tensor, axes, elementwise
from ops.declaring.cases import cases
from ops.fills import Bits, Index, Real, Segments


def _dequantised(inputs: Any, workload: Any) -> Any:
    codes = (inputs["q"][..., None] >> np.arange(0, 32, 4, dtype=np.uint32)) & 15
    rows, cols = workload.axes["rows"], workload.axes["cols"]
    grouped = codes.reshape(rows, cols // 64, 64).astype(np.float64)
    return ((grouped * inputs["s"][..., None] + inputs["b"][..., None]).reshape(rows, cols),)


dequant4 = Op(
    name="dequant4",
    family="odd",
    formula="out = s code + b, eight 4-bit codes to a word, lowest first, 64 codes to a group",
    axes=axes("rows", Axis("cols", multiple_of=64)),
    inputs=(
        Tensor("q", ("rows", "cols // 8"), "uint32", Bits()),
        Tensor("s", ("rows", "cols // 64"), fill=Real(2**-8, 2**-4)),
        Tensor("b", ("rows", "cols // 64")),
    ),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=_dequantised,
    baselines={"mx.dequantize": "mx.dequantize(q, s, b, group_size=64, bits=4)"},
    flops="4 * rows * cols",
    visible=cases("rows cols", (1, 64), (4, 128), (3, 512)),
    hidden=cases("rows cols", (0, 64), (3, 0), (7, 192), (2, 1088)),
    bench=cases("rows cols", (64, 1024)),
)


def _running(inputs: Any, workload: Any) -> Any:
    x, seg = inputs["x"], inputs["seg"]
    same = (seg[:, None] == seg[None]) & (seg[None] >= 0)
    return (np.tril(same).astype(np.float64) @ x,)


segment_sum = Op(
    name="segment_sum",
    family="odd",
    formula="out[t] = sum of x[u] over u <= t with seg[u] = seg[t]; 0 where seg[t] = -1",
    axes=axes("tokens cols"),
    inputs=(
        Tensor("x", ("tokens", "cols")),
        Tensor("seg", ("tokens",), "int32", Segments()),
    ),
    outputs=(Tensor("out", ("tokens", "cols")),),
    oracle=_running,
    baselines={
        "masked": "mask = (seg[:, None] == seg[None]) & (seg[None] >= 0)\n"
        "return (mx.tril(mask.astype(mx.float32)) @ x.astype(mx.float32)).astype(dtype)"
    },
    flops="tokens * cols",
    visible=cases("tokens cols", (1, 8), (16, 4), (40, 3)),
    hidden=cases("tokens cols", (0, 3), (3, 0), (33, 5), (129, 2)),
    bench=cases("tokens cols", (512, 64)),
)


def _gentle_gradient(inputs: Any, workload: Any) -> Any:
    s = 1.0 / (1.0 + np.exp(-inputs["x"]))
    return (inputs["dout"] * (s + inputs["x"] * s * (1.0 - s)),)


gentle = elementwise(
    "gentle",
    np=lambda x: x / (1.0 + np.exp(-x)),
    mlx="x * mx.sigmoid(x)",
    metal="x / (1.0f + exp(-x))",
    fill=Real(-80, 80),
    flops=7,
)
gentle_vjp = Op(
    name="gentle_vjp",
    family="odd",
    formula="dx = dout (s + x s (1 - s)), s = sigmoid(x)",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols"), fill=Real(-80, 80)), Tensor("dout", ("rows", "cols"))),
    outputs=(Tensor("dx", ("rows", "cols")),),
    oracle=_gentle_gradient,
    baselines={"mx.vjp": "mx.vjp(lambda v: v * mx.sigmoid(v), [x], [dout])[1][0]"},
    flops="10 * rows * cols",
    visible=cases("rows cols", (1, 8), (4, 64)),
    hidden=cases("rows cols", (0, 3), (3, 0), (7, 33), (2, 257)),
    bench=cases("rows cols", (64, 1024)),
    gradient_of="gentle",
)


def _shifted(inputs: Any, workload: Any) -> Any:
    return (2.0 * inputs["x"] + inputs.get("bias", 0.0),)


shifted = Op(
    name="shifted",
    family="odd",
    formula="out = 2 x + bias, or 2 x without it",
    axes=axes("rows cols"),
    inputs=(Tensor("x", ("rows", "cols")), Tensor("bias", ("cols",), optional=True)),
    outputs=(Tensor("out", ("rows", "cols")),),
    oracle=_shifted,
    baselines={"plain": "x * 2 if bias is None else x * 2 + bias"},
    flops="2 * rows * cols",
    visible=(
        *cases("rows cols", (1, 8), (4, 64)),
        Case({"rows": 3, "cols": 32}, absent=("bias",)),
    ),
    hidden=(
        *cases("rows cols", (0, 3), (7, 33)),
        Case({"rows": 2, "cols": 129}, absent=("bias",)),
    ),
    bench=cases("rows cols", (64, 1024)),
)


def _gathered(inputs: Any, workload: Any) -> Any:
    return (inputs["x"][inputs["idx"].astype(np.int64)],)


gathered = Op(
    name="gathered",
    family="odd",
    formula="out[i] = x[idx[i]]",
    axes=axes(Axis("rows", least=1), "picks cols"),
    inputs=(Tensor("x", ("rows", "cols")), Tensor("idx", ("picks",), "W", Index("rows"))),
    outputs=(Tensor("out", ("picks", "cols"), match=Exact()),),
    types={"W": ("int32", "uint16")},
    oracle=_gathered,
    baselines={"x[idx]": "x[idx]"},
    flops="0",
    visible=cases("rows picks cols", (1, 3, 8), (8, 16, 4)),
    hidden=cases("rows picks cols", (2, 0, 8), (3, 5, 0), (300, 7, 33)),
    bench=cases("rows picks cols", (512, 512, 64)),
)


def _appended(inputs: Any, workload: Any) -> Any:
    out = inputs["cache"].copy()
    start = workload.axes["start"]
    out[start : start + workload.axes["fresh"]] = inputs["rows"]
    return (out,)


appended = Op(
    name="appended",
    family="odd",
    formula="cache_out is cache with rows start .. start + fresh - 1 replaced by rows",
    axes=axes("slots fresh start cols"),
    inputs=(Tensor("cache", ("slots", "cols")), Tensor("rows", ("fresh", "cols"))),
    outputs=(Tensor("cache_out", ("slots", "cols"), continues="cache", match=Exact()),),
    constraints=("start + fresh <= slots",),
    oracle=_appended,
    baselines={
        "where": "mx.concatenate([cache[:start], rows, cache[start + fresh:]], axis=0)",
    },
    flops="0",
    bytes="2 * fresh * cols * itemsize",
    visible=cases("slots fresh start cols", (4, 1, 1, 8), (16, 4, 8, 4)),
    hidden=cases("slots fresh start cols", (0, 0, 0, 3), (9, 2, 0, 5), (33, 1, 32, 7)),
    bench=cases("slots fresh start cols", (512, 8, 100, 64)),
)
