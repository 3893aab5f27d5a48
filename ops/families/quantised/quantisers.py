"""Quantisers: floats become codes of a few bits, with a scale (and a bias) a row or a group.

Codes are one a byte and compared within half a step, since two kernels may round another way where
two codes are as near. Scales are rounded to T after the codes were found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.rowwise import Layout, rowwise
from ops.matches import Close
from ops.spec import Op
from ops.workload import Tensor

GROUPED = "rows groups group"
GROUP = Axis("group", values=(32, 64, 128))
CASES = (
    cases(GROUPED, (1, 1, 32), (4, 2, 64), (3, 5, 64), (16, 8, 32)),
    cases(GROUPED, (0, 2, 32), (3, 0, 32), (7, 1, 64), (31, 9, 32), (2, 33, 128), (67, 3, 32)),
    (
        labelled(GROUPED, "smollm2-135m key projection", 192, 9, 64),
        labelled(GROUPED, "smollm2-135m up projection", 1536, 9, 64),
        labelled(GROUPED, "llama-3.2-1b up projection", 8192, 32, 64),
    ),
)
IN_GROUPS = Layout(("rows", "groups"), "group", "x_shape[2]")
LEAST = 1e-8
"""Smallest scale: a group of zeros has one too."""


def affine(bits: int) -> Op:
    """Codes from 0 up: a scale and the least value of each group."""
    most = 2**bits - 1

    def formula(x: Any) -> tuple[Any, ...]:
        low, high = x.min(axis=-1), x.max(axis=-1)
        scale = np.maximum((high - low) / most, LEAST)
        codes = np.clip((x - low[..., None]) / scale[..., None], 0.0, float(most))
        return codes, scale, low

    return rowwise(
        f"quantize_affine_{bits}bit",
        "quantised",
        (Tensor("x", ("rows", "groups", "group")),),
        (
            Tensor("codes", ("rows", "groups", "group"), "uint8", match=Close(2)),
            Tensor("scales", ("rows", "groups"), match=Close(2)),
            Tensor("biases", ("rows", "groups")),
        ),
        np=formula,
        steps=lambda stored, x: formula(x),
        mlx=f"""
wide = x.astype(mx.float32)
low = mx.min(wide, axis=-1, keepdims=True)
scale = mx.maximum((mx.max(wide, axis=-1, keepdims=True) - low) / {most}, {LEAST})
codes = mx.clip(mx.round((wide - low) / scale), 0, {most}).astype(mx.uint8)
return codes, scale[..., 0].astype(dtype), low[..., 0].astype(dtype)
""",
        passes={
            "low": "min of x",
            "high": "max of x",
            "scale": f"max((high - low) / {most}.0f, {LEAST}f)",
        },
        metal={
            "codes": f"uchar(clamp(rint((x - low) / scale), 0.0f, {most}.0f))",
            "scales": "scale",
            "biases": "low",
        },
        flops=4,
        op_axes=axes("rows groups", GROUP),
        layout=IN_GROUPS,
        formula=f"Of each group of neighbouring columns: biases = min x, scales = max((max x - min "
        f"x) / {most}, {LEAST}), codes = (x - bias) / scale rounded to the nearest, 0 to {most}. "
        "Codes follow from scale and bias in float32, before they are rounded to T.",
        cases=CASES,
    )


def symmetric(bits: int) -> Op:
    """Signed codes about 0: one scale of each group."""
    most = 2 ** (bits - 1) - 1

    def formula(x: Any) -> tuple[Any, ...]:
        scale = np.maximum(np.abs(x).max(axis=-1) / most, LEAST)
        return x / scale[..., None], scale

    return rowwise(
        f"quantize_symmetric_{bits}bit",
        "quantised",
        (Tensor("x", ("rows", "groups", "group")),),
        (
            Tensor("codes", ("rows", "groups", "group"), "int8", match=Close(2)),
            Tensor("scales", ("rows", "groups"), match=Close(2)),
        ),
        np=formula,
        steps=lambda stored, x: formula(x),
        mlx=f"""
wide = x.astype(mx.float32)
scale = mx.maximum(mx.max(mx.abs(wide), axis=-1, keepdims=True) / {most}, {LEAST})
codes = mx.clip(mx.round(wide / scale), -{most}, {most}).astype(mx.int8)
return codes, scale[..., 0].astype(dtype)
""",
        passes={"peak": "max of abs(x)", "scale": f"max(peak / {most}.0f, {LEAST}f)"},
        metal={
            "codes": f"char(clamp(rint(x / scale), -{most}.0f, {most}.0f))",
            "scales": "scale",
        },
        flops=3,
        op_axes=axes("rows groups", GROUP),
        layout=IN_GROUPS,
        formula=f"Of each group of neighbouring columns: scales = max(max |x| / {most}, {LEAST}), "
        f"codes = x / scale rounded to the nearest, -{most} to {most}. Codes follow from the scale "
        "in float32, before it is rounded to T.",
        cases=CASES,
    )


quantize_affine_2bit = affine(2)
quantize_affine_4bit = affine(4)
quantize_affine_8bit = affine(8)
quantize_symmetric_4bit = symmetric(4)
quantize_symmetric_8bit = symmetric(8)
KV = "batch heads seq head_dim"


def _kv8(x: Any) -> tuple[Any, ...]:
    scale = np.maximum(np.abs(x).max(axis=-1) / 127, LEAST)
    return x / scale[..., None], scale


kv_quantize_8bit = rowwise(
    "kv_quantize_8bit",
    "caches",
    (Tensor("x", ("batch", "heads", "seq", "head_dim")),),
    (
        Tensor("codes", ("batch", "heads", "seq", "head_dim"), "int8", match=Close(2)),
        Tensor("scales", ("batch", "heads", "seq"), "float32", match=Close(2)),
    ),
    np=_kv8,
    steps=lambda stored, x: _kv8(x),
    mlx=f"""
wide = x.astype(mx.float32)
scale = mx.maximum(mx.max(mx.abs(wide), axis=-1, keepdims=True) / 127, {LEAST})
return mx.round(wide / scale).astype(mx.int8), scale[..., 0]
""",
    passes={"peak": "max of abs(x)", "scale": f"max(peak / 127.0f, {LEAST}f)"},
    metal={"codes": "char(clamp(rint(x / scale), -127.0f, 127.0f))", "scales": "scale"},
    flops=3,
    op_axes=axes("batch heads seq", Axis("head_dim", least=1)),
    layout=Layout(("batch", "heads", "seq"), "head_dim", "x_shape[3]"),
    formula=f"Of each key or value: scales = max(max |x| / 127, {LEAST}) in float32, codes = x / "
    "scale rounded to the nearest: what is put into a cache of 8 bits.",
    cases=(
        cases(KV, (1, 1, 1, 4), (1, 2, 5, 64), (2, 3, 7, 80), (1, 4, 4, 128)),
        cases(KV, (0, 2, 3, 8), (1, 2, 0, 8), (1, 1, 67, 1), (3, 5, 2, 31), (1, 3, 33, 257)),
        (
            labelled(KV, "smollm2-135m decode, batch 8", 8, 3, 1, 64),
            labelled(KV, "llama-3.2-1b prefill 512", 1, 8, 512, 64),
            labelled(KV, "qwen3-0.6b prefill 2048", 1, 8, 2048, 128),
        ),
    ),
)
