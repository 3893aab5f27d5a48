"""Gradients of the norms: of the input along rows, of what is learnt across them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.families.forms.pointwise import elements
from ops.families.forms.rowwise import MOMENTS, rowwise
from ops.families.norms.norms_fused import (
    EPS_OF,
    LEARNT,
    NORMAL,
    RANGES,
    ROW,
    TOKENS,
    X,
    group_norm,
    l2_norm,
    normal,
)
from ops.matches import Close
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

rms_norm_vjp = rowwise(
    "rms_norm_vjp",
    "norms",
    (X, LEARNT, elements("dout")),
    (Tensor("dx", ("rows", "cols"), match=ROW), Tensor("dweight", ("cols",), match=Close("rows"))),
    np=lambda x, weight, dout, eps: _rms_norm_vjp(x, weight, dout, eps),
    mlx="_, grads = mx.vjp(lambda a, b: mx.fast.rms_norm(a, b, eps), [x, weight], [dout])\n"
    "return grads[0], grads[1]",
    passes={
        "squares": "sum of x * x",
        "dots": "sum of dout * weight * x",
        "scale": "rsqrt(squares / float(cols) + eps)",
        "pull": "dots / float(cols) * scale * scale",
    },
    metal={
        "dx": "scale * (dout * weight - x * pull)",
        "dweight": "sum of dout * x * scale",
    },
    flops=11,
    params=EPS_OF,
    ranges=RANGES,
    formula="With s = 1 / sqrt(mean(x^2) + eps) of each row: dx = s (dout weight - x s^2 "
    "mean(dout weight x)); dweight[c] = sum over rows of dout x s, carried in float32.",
    gradient_of="rms_norm",
    cases=TOKENS,
)
layer_norm_vjp = rowwise(
    "layer_norm_vjp",
    "norms",
    (X, LEARNT, Tensor("bias", ("cols",)), elements("dout")),
    (
        Tensor("dx", ("rows", "cols"), match=ROW),
        Tensor("dweight", ("cols",), match=Close("rows")),
        Tensor("dbias", ("cols",), match=Close("rows")),
    ),
    np=lambda x, weight, bias, dout, eps: _layer_norm_vjp(x, weight, dout, eps),
    steps=lambda stored, x, weight, bias, dout, eps: _layer_norm_vjp(x, weight, dout, eps),
    mlx={
        "mx.vjp in float32": """
wide = [v.astype(mx.float32) for v in (x, weight, bias, dout)]
_, grads = mx.vjp(lambda a, b, c: mx.fast.layer_norm(a, b, c, eps), wide[:3], wide[3:])
return grads[0].astype(dtype), grads[1].astype(dtype), grads[2].astype(dtype)
""",
        "mx.vjp": "_, grads = mx.vjp(lambda a, b, c: mx.fast.layer_norm(a, b, c, eps), "
        "[x, weight, bias], [dout])\nreturn grads[0], grads[1], grads[2]",
    },
    passes={
        **MOMENTS,
        "pushes": "sum of dout * weight",
        "dots": f"sum of dout * weight * {NORMAL}",
        "push": "pushes / float(cols)",
        "pull": "dots / float(cols)",
    },
    metal={
        "dx": f"scale * (dout * weight - push - {NORMAL} * pull)",
        "dweight": f"sum of dout * {NORMAL}",
        "dbias": "sum of dout",
    },
    flops=14,
    params=EPS_OF,
    ranges=RANGES,
    formula="With n the normalised row, s = 1 / sqrt(variance + eps), g = dout weight: "
    "dx = s (g - mean(g) - n mean(g n)); dweight = sum over rows of dout n; dbias that of dout.",
    gradient_of="layer_norm",
    cases=TOKENS,
)
add_rms_norm_vjp = rowwise(
    "add_rms_norm_vjp",
    "norms",
    (X, elements("residual"), LEARNT, elements("dout"), elements("dtotal")),
    (
        Tensor("dx", ("rows", "cols"), match=ROW),
        Tensor("dresidual", ("rows", "cols"), match=ROW),
        Tensor("dweight", ("cols",), match=Close("rows")),
    ),
    np=lambda x, residual, weight, dout, dtotal, eps: _add_rms_norm_vjp(
        x + residual, weight, dout, dtotal, eps
    ),
    steps=lambda stored, x, residual, weight, dout, dtotal, eps: _add_rms_norm_vjp(
        stored(x + residual), weight, dout, dtotal, eps, stored
    ),
    mlx="""
def forward(a, b, c):
    h = a + b
    return mx.fast.rms_norm(h, c, eps), h
_, grads = mx.vjp(forward, [x, residual, weight], [dout, dtotal])
return grads[0], grads[1], grads[2]
""",
    passes={
        "squares": "sum of (x + residual) * (x + residual)",
        "dots": "sum of dout * weight * (x + residual)",
        "scale": "rsqrt(squares / float(cols) + eps)",
        "pull": "dots / float(cols) * scale * scale",
    },
    metal={
        "dx": "scale * (dout * weight - (x + residual) * pull) + dtotal",
        "dresidual": "scale * (dout * weight - (x + residual) * pull) + dtotal",
        "dweight": "sum of dout * (x + residual) * scale",
    },
    flops=13,
    params=EPS_OF,
    ranges=RANGES,
    formula="With h = x + residual and s = 1 / sqrt(mean(h^2) + eps): dx = dresidual = s (dout "
    "weight - h s^2 mean(dout weight h)) + dtotal; dweight = sum over rows of dout h s.",
    gradient_of="add_rms_norm",
    cases=TOKENS,
)

l2_norm_vjp = rowwise(
    "l2_norm_vjp",
    "norms",
    (X, elements("dout")),
    (Tensor("dx", ("rows", "cols"), match=ROW),),
    np=lambda x, dout, eps: _l2_norm_vjp(x, dout, eps),
    steps=lambda stored, x, dout, eps: _l2_norm_vjp(x, dout, eps),
    mlx="""
wide, given = x.astype(mx.float32), dout.astype(mx.float32)
scale = mx.rsqrt(mx.sum(mx.square(wide), -1, keepdims=True) + eps)
pull = mx.sum(given * wide, -1, keepdims=True) * mx.square(scale)
return (scale * (given - wide * pull)).astype(dtype)
""",
    passes={
        "squares": "sum of x * x",
        "dots": "sum of dout * x",
        "scale": "rsqrt(squares + eps)",
        "pull": "dots * scale * scale",
    },
    metal={"dx": "scale * (dout - x * pull)"},
    flops=9,
    params={"eps": 1e-6},
    ranges=RANGES,
    formula="With s = 1 / sqrt(sum of x^2 over the row + eps): dx = s (dout - x s^2 (sum of "
    "dout x)).",
    gradient_of="l2_norm",
    cases=(l2_norm.visible, l2_norm.hidden, l2_norm.bench),
)
_CHANNELS = ("groups", "width")
_OF_GROUPS = ("batch", "groups", "width", "size")


def _group_norm_vjp(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    shape, eps = inputs["x"].shape, param_value(workload, "eps")
    wide = (shape[0] * shape[1], shape[2] * shape[3])
    rows = [np.broadcast_to(inputs["weight"][..., None], shape), inputs["dout"]]
    x, weight, dout = (a.reshape(wide) for a in (inputs["x"], *rows))
    dx, _, _ = _layer_norm_vjp(x, weight, dout, eps)
    along = dout * normal(x, eps)
    dweight, dbias = (a.reshape(shape).sum(axis=3).sum(axis=0) for a in (along, dout))
    return dx.reshape(shape), dweight, dbias


group_norm_vjp = Op(
    name="group_norm_vjp",
    family="norms",
    formula="The gradient of `group_norm`. Of each group, with n its normal elements, s = 1 / "
    "sqrt(variance + eps), g = dout weight: dx = s (g - mean(g) - n mean(g n)), means over the "
    "width * size elements. dweight of a channel is the sum of dout n over batch and size, dbias "
    "that of dout, both carried in float32.",
    axes=group_norm.axes,
    inputs=(*group_norm.inputs, Tensor("dout", _OF_GROUPS)),
    outputs=(
        Tensor("dx", _OF_GROUPS, match=Close("width * size")),
        Tensor("dweight", _CHANNELS, match=Close("batch * size + width * size")),
        Tensor("dbias", _CHANNELS, match=Close("batch * size")),
    ),
    params=group_norm.params,
    ranges=group_norm.ranges,
    oracle=_group_norm_vjp,
    steps=lambda inputs, workload, stored: _group_norm_vjp(inputs, workload),
    baselines={
        "mx.vjp in float32": """
def forward(a, b, c):
    rows = a.reshape(batch, groups, width * size)
    normal = mx.fast.layer_norm(rows, None, None, eps).reshape(batch, groups, width, size)
    return normal * b[..., None] + c[..., None]
wide = [v.astype(mx.float32) for v in (x, weight, bias, dout)]
_, grads = mx.vjp(forward, wide[:3], wide[3:])
return grads[0].astype(dtype), grads[1].astype(dtype), grads[2].astype(dtype)
""",
        "mx.vjp": """
def forward(a, b, c):
    rows = a.reshape(batch, groups, width * size)
    normal = mx.fast.layer_norm(rows, None, None, eps).reshape(batch, groups, width, size)
    return normal * b[..., None] + c[..., None]
_, grads = mx.vjp(forward, [x, weight, bias], [dout])
return grads[0], grads[1], grads[2]
""",
    },
    flops="14 * batch * groups * width * size",
    gradient_of="group_norm",
    visible=group_norm.visible,
    hidden=group_norm.hidden,
    bench=group_norm.bench,
)


def _l2_norm_vjp(x: Any, dout: Any, eps: float) -> Any:
    scale = 1.0 / np.sqrt(np.square(x).sum(axis=-1, keepdims=True) + eps)
    return scale * (dout - x * (dout * x).sum(axis=-1, keepdims=True) * scale**2)


def _rms_norm_vjp(x: Any, weight: Any, dout: Any, eps: float) -> tuple[Any, Any]:
    count = max(x.shape[-1], 1)
    scale = 1.0 / np.sqrt(np.square(x).sum(axis=-1, keepdims=True) / count + eps)
    pull = (dout * weight * x).sum(axis=-1, keepdims=True) / count * scale**2
    return scale * (dout * weight - x * pull), (dout * x * scale).sum(axis=0)


def _layer_norm_vjp(x: Any, weight: Any, dout: Any, eps: float) -> tuple[Any, Any, Any]:
    count = max(x.shape[-1], 1)
    centred = x - x.sum(axis=-1, keepdims=True) / count
    scale = 1.0 / np.sqrt(np.square(centred).sum(axis=-1, keepdims=True) / count + eps)
    n, pull = centred * scale, dout * weight
    push = pull.sum(axis=-1, keepdims=True) / count
    along = (pull * n).sum(axis=-1, keepdims=True) / count
    return scale * (pull - push - n * along), (dout * n).sum(axis=0), dout.sum(axis=0)


def _add_rms_norm_vjp(
    total: Any, weight: Any, dout: Any, dtotal: Any, eps: float, stored: Any = lambda v: v
) -> tuple[Any, Any, Any]:
    through, dweight = _rms_norm_vjp(total, weight, dout, eps)
    dx = stored(through) + dtotal
    return dx, dx, dweight
