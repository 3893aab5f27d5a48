"""Further values of rows: extremes and where they lie, moments, products, sums over all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator

from ops.axis import axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.pointwise import elements
from ops.families.forms.rowwise import MOMENTS, rowwise
from ops.families.rows.losses import LOGITS, SHAPES
from ops.families.rows.reductions import reduction
from ops.families.rows.scan import scan
from ops.fills import Custom
from ops.matches import Close, Exact
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

LEAST_NORMAL = "0x00800000u"
"""The bits of the least float that no GPU takes for 0."""
PER_ROW = Tensor("out", ("rows",), match=Close("cols"))
LOGIT_ROWS = (SHAPES[0], SHAPES[1], SHAPES[2][:4])


_ZEROS_OF_ROW = 1 / 4


def _about_one(rng: Generator, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """Factors of both signs whose product over a row neither overflows nor vanishes.

    In one of four rows or so it is zero: where a gradient divides, it is lost there.
    """
    count = max(shape[-1], 1)
    size = np.exp(rng.uniform(-1.0, 1.0, shape) * min(0.5, 3.0 / np.sqrt(count)))
    size *= rng.random(shape) >= _ZEROS_OF_ROW / count
    return np.where(values(rng, shape, dtype) < 0, -size, size)


FACTORS = Tensor("x", ("rows", "cols"), fill=Custom(_about_one))

row_min = reduction(
    "row_min",
    np=lambda x: x.min(axis=-1),
    mlx="mx.min(x, axis=-1)",
    passes={"least": "min of x"},
    metal="least",
    flops=1,
    match=Exact(),
)
row_product = rowwise(
    "row_product",
    "reductions",
    (FACTORS,),
    (PER_ROW,),
    np=lambda x: x.prod(axis=-1),
    mlx="mx.prod(x.astype(mx.float32), axis=-1).astype(dtype)",
    passes={"total": "product of x"},
    metal={"out": "total"},
    flops=1,
    formula="out[r] = product over c of x[r, c].",
    op_axes=LOGITS,
    cases=LOGIT_ROWS,
)
cumprod = replace(
    scan(
        "cumprod",
        np=lambda x: np.cumprod(x, axis=-1),
        mlx="mx.cumprod(x.astype(mx.float32), axis=-1).astype(dtype)",
        metal="a * b",
        start="1.0f",
        formula="Inclusive prefix product of each row, carried in float32 and rounded once.",
    ),
    inputs=(FACTORS,),
)
cumprod_reverse = replace(
    scan(
        "cumprod_reverse",
        np=lambda x: np.cumprod(x[:, ::-1], axis=-1)[:, ::-1],
        mlx="mx.cumprod(x.astype(mx.float32), axis=-1, reverse=True).astype(dtype)",
        metal="a * b",
        start="1.0f",
        backwards=True,
        formula="Inclusive product of each row from its end, carried in float32 and rounded once.",
    ),
    inputs=(FACTORS,),
)


def _cumprod_vjp(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    """By doubling: sums over 1, 2, 4 and so on columns, with the product of those passed."""
    x, sums = inputs["x"], inputs["dout"]
    cols, step = x.shape[1], 1
    one = np.ones_like(x[:, :1])
    before = np.cumprod(np.concatenate([one, x[:, :-1]], axis=-1), axis=-1)
    factor = np.concatenate([x[:, 1:], 0.0 * one], axis=-1)
    while step < cols:
        nothing = np.zeros((len(x), step))
        sums = sums + factor * np.concatenate([sums[:, step:], nothing], axis=-1)
        factor = factor * np.concatenate([factor[:, step:], nothing], axis=-1)
        step *= 2
    return (before * sums,)


cumprod_vjp = Op(
    name="cumprod_vjp",
    family="scan",
    formula="The gradient of `cumprod`, without a division: with b[c] = product of x[r, j] over "
    "j < c and g[c] = dout[r, c] + x[r, c + 1] g[c + 1] from the end, dx[r, c] = b[c] g[c]. Both "
    "are carried in float32.",
    axes=cumprod.axes,
    inputs=(FACTORS, elements("dout")),
    outputs=(Tensor("dx", ("rows", "cols"), match=Close("cols")),),
    oracle=_cumprod_vjp,
    baselines={
        "in float32": """
ones = mx.ones((rows, 1), dtype=mx.float32)
wide, given = x.astype(mx.float32), dout.astype(mx.float32)
before = mx.cumprod(mx.concatenate([ones, wide[:, :-1]], axis=1), axis=1)
factor = mx.concatenate([wide[:, 1:], ones], axis=1)
sums, step = given, 1
for doubling in range(cols.bit_length()):
    pad = ((0, 0), (0, min(step, cols)))
    sums = sums + factor * mx.pad(sums, pad)[:, step : step + cols]
    factor = factor * mx.pad(factor, pad)[:, step : step + cols]
    step = 2 * step
return (before * sums).astype(dtype)
""",
    },
    flops="rows * cols * 4",
    plain_flops="rows * cols * 64",
    gradient_of="cumprod",
    visible=cumprod.visible,
    hidden=cumprod.hidden,
    bench=cumprod.bench[:2],
)
row_argmax = rowwise(
    "row_argmax",
    "reductions",
    (elements("x"),),
    (Tensor("out", ("rows",), "uint32", match=Exact()),),
    np=lambda x: x.argmax(axis=-1).astype(np.uint32),
    mlx="mx.argmax(x, axis=-1).astype(mx.uint32)",
    # A float holds no place from 2^24 on, but the bits of a normal one are in the order of places.
    passes={
        "peak": "max of x",
        "place": f"min of (x == peak ? as_type<float>(c + {LEAST_NORMAL}) : INFINITY)",
    },
    metal={"out": f"as_type<uint>(place) - {LEAST_NORMAL}"},
    flops=2,
    formula="out[r] is the place of the largest x[r, c]; of equal ones the lowest (-0.0 equals "
    "0.0).",
    op_axes=LOGITS,
    cases=LOGIT_ROWS,
)


def _variance(x: Any) -> Any:
    centred = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    return np.square(centred).sum(axis=-1) / x.shape[-1]


row_variance = rowwise(
    "row_variance",
    "reductions",
    (elements("x"),),
    (PER_ROW,),
    np=_variance,
    steps=lambda stored, x: _variance(x),
    mlx="mx.var(x.astype(mx.float32), axis=-1).astype(dtype)",
    passes=dict(list(MOMENTS.items())[:-1]),
    metal={"out": "max(squares / float(cols) - shift * shift, 0.0f)"},
    flops=4,
    formula="out[r] = sum_c (x[r, c] - mean)^2 / cols. The mean may be far larger than the "
    "deviation: mean(x^2) - mean(x)^2 cancels.",
    op_axes=LOGITS,
    cases=LOGIT_ROWS,
)
row_deviation = rowwise(
    "row_deviation",
    "reductions",
    (elements("x"),),
    (PER_ROW,),
    np=lambda x: np.sqrt(_variance(x)),
    steps=lambda stored, x: np.sqrt(_variance(x)),
    mlx="mx.sqrt(mx.var(x.astype(mx.float32), axis=-1)).astype(dtype)",
    passes=dict(list(MOMENTS.items())[:-1]),
    metal={"out": "sqrt(max(squares / float(cols) - shift * shift, 0.0f))"},
    flops=4,
    formula="out[r] = sqrt(sum_c (x[r, c] - mean)^2 / cols).",
    op_axes=LOGITS,
    cases=LOGIT_ROWS,
)
COUNTS = (
    cases("count", (3,), (64,), (1000,), (4096,)),
    cases("count", (0,), (1,), (2,), (31,), (257,), (1025,), (8209,), (20011,)),
)
dot = Op(
    name="dot",
    family="reductions",
    formula="out[0] = sum over i of x[i] * y[i], carried in float32 and rounded once.",
    axes=axes("count"),
    inputs=(Tensor("x", ("count",)), Tensor("y", ("count",))),
    outputs=(Tensor("out", ("1",), match=Close("count")),),
    oracle=lambda inputs, workload: ((inputs["x"] * inputs["y"]).sum(axis=-1, keepdims=True),),
    baselines={
        "in float32": "mx.sum(x.astype(mx.float32) * y.astype(mx.float32), keepdims=True)"
        ".astype(dtype)",
        "mx.inner": "mx.inner(x, y).reshape(1)",
    },
    flops="2 * count",
    visible=COUNTS[0],
    hidden=COUNTS[1],
    bench=(
        labelled("count", "smollm2-135m, one key projection", 110_592),
        labelled("count", "smollm2-135m, one layer", 3_500_000),
        labelled("count", "16 million elements", 16_777_216),
    ),
)


def _clipped(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    x, most = inputs["x"], param_value(workload, "most")
    norm = np.sqrt(np.square(x).sum(axis=-1, keepdims=True))
    return (x * np.minimum(1.0, most / (norm + param_value(workload, "eps"))),)


clip_grad_norm = Op(
    name="clip_grad_norm",
    family="optimisers",
    formula="n = sqrt(sum over i of x[i]^2); out = x * min(1, most / (n + eps)).",
    axes=axes("count"),
    inputs=(Tensor("x", ("count",)),),
    outputs=(Tensor("out", ("count",), match=Close("count")),),
    params={"most": 1.0, "eps": 1e-6},
    ranges={"most": Range(0.1, 100.0, usual=(1.0,)), "eps": Range(1e-8, 1e-2, usual=(1e-6,))},
    oracle=_clipped,
    baselines={
        "in float32": """
wide = x.astype(mx.float32)
norm = mx.sqrt(mx.sum(mx.square(wide)))
return (wide * mx.minimum(1, most / (norm + eps))).astype(dtype)
"""
    },
    flops="3 * count",
    bytes="2 * count * itemsize",
    visible=(*COUNTS[0], *cases("count", (500,), most=40.0, eps=1e-3)),
    hidden=(
        *COUNTS[1],
        *cases("count", (777,), most=17.0, eps=1e-2),
    ),
    bench=(
        labelled("count", "smollm2-135m, one key projection", 110_592),
        labelled("count", "smollm2-135m, one layer", 3_500_000),
        labelled("count", "16 million elements", 16_777_216),
    ),
)
