"""Gradients of activations and of gated linear units, and units of further activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.families.forms.pointwise import binary, elementwise, gradient
from ops.families.pointwise.elementwise import (
    MISH,
    NORMAL_SHARE,
    elu,
    exp,
    gelu_erf,
    gelu_tanh,
    hard_sigmoid,
    hard_swish,
    log,
    mish,
    quick_gelu,
    relu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from ops.families.pointwise.glu import geglu, geglu_erf, glu, reglu, sigmoid_glu
from ops.formulas import gelu_tanh as gelu_of
from ops.formulas import log_one_plus_exp, logistic, normal_share
from ops.parameters import Range

SIGMOID = """
// Neither end overflows, and what is far below 0 keeps its size.
inline float sigmoid(float v) {
  const float decay = exp(-abs(v));
  return (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
"""
GELU_SLOPE = f"""{SIGMOID}
// Beyond a square of 10000 the sigmoids are 0 and 1, and the cube might overflow.
inline float gelu_slope(float v) {{
  const float squared = min(v * v, 1.0e4f);
  const float u = 1.59576912f * v * (1.0f + 0.044715f * squared);
  const float steep = 1.59576912f * (1.0f + 0.134145f * squared);
  // Where the other factors are 0, v must not make them infinite; a NaN still comes by u.
  return sigmoid(u) * (1.0f + clamp(v, -100.0f, 100.0f) * sigmoid(-u) * steep);
}}
"""
_IN_FLOAT32 = "wide, given = x.astype(mx.float32), dout.astype(mx.float32)\n"
_GELU_SLOPE = """
def slope(v):
    u = math.sqrt(8 / math.pi) * (v + 0.044715 * v**3)
    steep = math.sqrt(8 / math.pi) * (1 + 0.134145 * mx.square(v))
    return mx.sigmoid(u) * (1 + v * mx.sigmoid(-u) * mx.where(mx.abs(v) < 100, steep, 0))
"""

MISH_FLAT = f"""{MISH}{SIGMOID}
// 1 - mish_gate(x)^2 without the difference.
inline float mish_flat(float x) {{
  const float t = exp(-abs(x));
  const float e = x > 0.0f ? 1.0f : t;
  const float d = x > 0.0f ? t : 1.0f;
  const float n = e * (e + 2.0f * d);
  const float whole = n + 2.0f * d * d;
  return 4.0f * d * d * (n + d * d) / (whole * whole);
}}
"""
_MISH_SLOPE = """
w = mx.tanh(mx.logaddexp(wide, mx.array(0.0)))
t = mx.exp(-mx.abs(wide))
e = mx.where(wide > 0, 1.0, t)
d = mx.where(wide > 0, t, 1.0)
n = e * (e + 2 * d)
flat = 4 * d * d * (n + d * d) / mx.square(n + 2 * d * d)
slope = w + wide * mx.sigmoid(wide) * flat
"""
_OF_GATE = """
wide, given = gate.astype(mx.float32), dout.astype(mx.float32)
along = given * up.astype(mx.float32)
"""
"""MLX lines of the gradient of a unit: the gate and `dout` in float32, and `dout` times `up`."""


def mish_slope(x: Any) -> Any:
    """The derivative of x tanh(log(1 + exp(x)))."""
    rise = log_one_plus_exp(x)
    return np.tanh(rise) + x * logistic(x) / np.square(np.cosh(np.minimum(rise, 300.0)))


def normal_slope(x: Any) -> Any:
    """The derivative of x times the share of a normal distribution below x."""
    return normal_share(x) + x * np.exp(-0.5 * np.square(x)) / math.sqrt(2.0 * math.pi)


def gelu_slope(x: Any) -> Any:
    """The derivative of GELU by its tanh form."""
    root = math.sqrt(8.0 / math.pi)
    u = root * (x + 0.044715 * x**3)
    return logistic(u) * (1.0 + x * logistic(-u) * root * (1.0 + 0.134145 * np.square(x)))


exp_vjp = gradient(
    exp,
    np=lambda x, dout: dout * np.exp(x),
    mlx=f"{_IN_FLOAT32}return (given * mx.exp(wide)).astype(dtype)",
    metal="dout * exp(0.5f * x) * exp(0.5f * x)",
    flops=5,
)
log_vjp = gradient(
    log,
    np=lambda x, dout: dout / x,
    mlx=f"{_IN_FLOAT32}return (given / wide).astype(dtype)",
    metal="dout / x",
    flops=1,
)
tanh_vjp = gradient(
    tanh,
    np=lambda x, dout: dout / np.square(np.cosh(np.clip(x, -350.0, 350.0))),
    mlx="(dout.astype(mx.float32) * 4 * mx.sigmoid(2 * x.astype(mx.float32)) * "
    "mx.sigmoid(-2 * x.astype(mx.float32))).astype(dtype)",
    metal="4.0f * sigmoid(2.0f * x) * sigmoid(-2.0f * x) * dout",
    helpers=SIGMOID,
    flops=14,
    formula="dx = dout (1 - tanh(x)^2), as 4 sigmoid(2 x) sigmoid(-2 x) dout, which does not "
    "cancel.",
)
sigmoid_vjp = gradient(
    sigmoid,
    np=lambda x, dout: dout * logistic(x) * logistic(-x),
    mlx="dout * mx.sigmoid(x) * mx.sigmoid(-x)",
    metal="dout * sigmoid(x) * sigmoid(-x)",
    helpers=SIGMOID,
    flops=12,
)
relu_vjp = gradient(
    relu,
    np=lambda x, dout: np.where(x > 0, dout, 0.0),
    mlx="mx.where(x > 0, dout, mx.array(0, dtype=dtype))",
    metal="x > 0.0f ? dout : 0.0f",
    flops=1,
)
softplus_vjp = gradient(
    softplus,
    np=lambda x, dout: dout * logistic(x),
    mlx="dout * mx.sigmoid(x)",
    metal="dout * sigmoid(x)",
    helpers=SIGMOID,
    flops=7,
)
silu_vjp = gradient(
    silu,
    np=lambda x, dout: dout * logistic(x) * (1.0 + x * logistic(-x)),
    mlx=f"{_IN_FLOAT32}s = mx.sigmoid(wide)\n"
    "return (given * s * (1 + wide * mx.sigmoid(-wide))).astype(dtype)",
    metal="dout * sigmoid(x) * (1.0f + x * sigmoid(-x))",
    helpers=SIGMOID,
    flops=15,
    formula="dx = dout s (1 + x (1 - s)), s = sigmoid(x).",
)
gelu_tanh_vjp = gradient(
    gelu_tanh,
    np=lambda x, dout: dout * gelu_slope(x),
    mlx=f"{_IN_FLOAT32}{_GELU_SLOPE}return (given * slope(wide)).astype(dtype)",
    metal="dout * gelu_slope(x)",
    helpers=GELU_SLOPE,
    flops=24,
    formula="dx = dout (s + x s (1 - s) u'), with u = sqrt(8 / pi) (x + 0.044715 x^3), "
    "s = sigmoid(u) and u' = sqrt(8 / pi) (1 + 0.134145 x^2): gelu(x) is x s.",
)
gelu_erf_vjp = gradient(
    gelu_erf,
    np=lambda x, dout: dout * normal_slope(x),
    mlx=f"{_IN_FLOAT32}share = (1 + mx.erf(wide / math.sqrt(2))) / 2\n"
    "bell = mx.exp(-0.5 * mx.square(wide)) / math.sqrt(2 * math.pi)\n"
    "return (given * (share + wide * bell)).astype(dtype)",
    metal="dout * (normal_share(x) + x * exp(-0.5f * x * x) * 0.39894228f)",
    helpers=NORMAL_SHARE,
    flops=36,
    formula="dx = dout (P(x) + x p(x)), P the share of a normal distribution below x and p its "
    "density.",
)
quick_gelu_vjp = gradient(
    quick_gelu,
    np=lambda x, dout: dout * logistic(1.702 * x) * (1.0 + 1.702 * x * logistic(-1.702 * x)),
    mlx=f"{_IN_FLOAT32}v = 1.702 * wide\n"
    "return (given * mx.sigmoid(v) * (1 + v * mx.sigmoid(-v))).astype(dtype)",
    metal="dout * sigmoid(1.702f * x) * (1.0f + 1.702f * x * sigmoid(-1.702f * x))",
    helpers=SIGMOID,
    flops=18,
    formula="dx = dout s (1 + 1.702 x (1 - s)), s = sigmoid(1.702 x).",
)
mish_vjp = gradient(
    mish,
    np=lambda x, dout: dout * mish_slope(x),
    mlx=f"{_IN_FLOAT32}{_MISH_SLOPE}return (given * slope).astype(dtype)",
    metal="dout * (mish_gate(x) + x * sigmoid(x) * mish_flat(x))",
    helpers=MISH_FLAT,
    flops=34,
    formula="dx = dout (w + x sigmoid(x) (1 - w^2)), w = tanh(log(1 + exp(x))).",
)
elu_vjp = gradient(
    elu,
    np=lambda x, dout, alpha: dout * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0))),
    mlx=f"{_IN_FLOAT32}return (given * mx.where(wide > 0, 1, alpha * mx.exp(wide))).astype(dtype)",
    metal="x > 0.0f ? dout : dout * (alpha * exp(x))",
    flops=6,
)
hard_sigmoid_vjp = gradient(
    hard_sigmoid,
    np=lambda x, dout: np.where((x > -3.0) & (x < 3.0), dout / 6.0, 0.0),
    mlx="mx.where((x > -3) & (x < 3), dout / 6, mx.array(0, dtype=dtype))",
    metal="x > -3.0f && x < 3.0f ? dout / 6.0f : 0.0f",
    flops=3,
)
hard_swish_vjp = gradient(
    hard_swish,
    np=lambda x, dout: dout * np.where(x <= -3.0, 0.0, np.where(x >= 3.0, 1.0, x / 3.0 + 0.5)),
    mlx=f"{_IN_FLOAT32}inner = mx.where(wide >= 3, 1, wide / 3 + 0.5)\n"
    "return (given * mx.where(wide <= -3, 0, inner)).astype(dtype)",
    metal="x <= -3.0f ? 0.0f : x >= 3.0f ? dout : dout * (x / 3.0f + 0.5f)",
    flops=5,
)
geglu_vjp = gradient(
    geglu,
    np=lambda gate, up, dout: (dout * up * gelu_slope(gate), dout * gelu_of(gate)),
    mlx=f"wide, given = gate.astype(mx.float32), dout.astype(mx.float32)\n{_GELU_SLOPE}"
    "u = math.sqrt(8 / math.pi) * (wide + 0.044715 * wide**3)\n"
    "dgate = given * up.astype(mx.float32) * slope(wide)\n"
    "return dgate.astype(dtype), (given * wide * mx.sigmoid(u)).astype(dtype)",
    metal={
        "dgate": "dout * up * gelu_slope(gate)",
        "dup": "dout * gate * sigmoid(1.59576912f * gate * (1.0f + 0.044715f * min(gate * gate, "
        "1.0e4f)))",
    },
    helpers=GELU_SLOPE,
    flops=40,
)
reglu_vjp = gradient(
    reglu,
    np=lambda gate, up, dout: (
        np.where(gate > 0, dout * up, 0.0),
        dout * np.maximum(gate, 0.0),
    ),
    mlx="return mx.where(gate > 0, dout * up, mx.array(0, dtype=dtype)), "
    "dout * mx.maximum(gate, 0)",
    metal={"dgate": "gate > 0.0f ? dout * up : 0.0f", "dup": "dout * max(gate, 0.0f)"},
    flops=4,
)
sigmoid_glu_vjp = gradient(
    sigmoid_glu,
    np=lambda gate, up, dout: (
        dout * up * logistic(gate) * logistic(-gate),
        dout * logistic(gate),
    ),
    mlx="s = mx.sigmoid(gate)\nreturn dout * up * s * mx.sigmoid(-gate), dout * s",
    metal={
        "dgate": "dout * up * sigmoid(gate) * sigmoid(-gate)",
        "dup": "dout * sigmoid(gate)",
    },
    helpers=SIGMOID,
    flops=16,
)
relu2_glu = glu(
    "relu2_glu",
    np=lambda gate, up: np.square(np.maximum(gate, 0.0)) * up,
    mlx="mx.square(mx.maximum(gate, 0)) * up",
    metal="max(gate, 0.0f) * max(gate, 0.0f) * up",
    flops=4,
)
mish_glu = glu(
    "mish_glu",
    np=lambda gate, up: gate * np.tanh(log_one_plus_exp(gate)) * up,
    mlx="gate * mx.tanh(mx.logaddexp(gate, mx.array(0, dtype=dtype))) * up",
    metal="gate * mish_gate(gate) * up",
    helpers=MISH,
    flops=15,
)
geglu_erf_vjp = gradient(
    geglu_erf,
    np=lambda gate, up, dout: (dout * up * normal_slope(gate), dout * gate * normal_share(gate)),
    mlx=f"{_OF_GATE}share = (1 + mx.erf(wide / math.sqrt(2))) / 2\n"
    "bell = mx.exp(-0.5 * mx.square(wide)) / math.sqrt(2 * math.pi)\n"
    "return (along * (share + wide * bell)).astype(dtype), (given * wide * share).astype(dtype)",
    metal={
        "dgate": "dout * up * (normal_share(gate) + gate * exp(-0.5f * gate * gate) * 0.39894228f)",
        "dup": "dout * gate * normal_share(gate)",
    },
    helpers=NORMAL_SHARE,
    flops=70,
    formula="With P the share of a normal distribution below gate and p its density: dgate = dout "
    "up (P + gate p), dup = dout gate P.",
)
relu2_glu_vjp = gradient(
    relu2_glu,
    np=lambda gate, up, dout: (
        2.0 * dout * up * np.maximum(gate, 0.0),
        dout * np.square(np.maximum(gate, 0.0)),
    ),
    mlx=f"{_OF_GATE}high = mx.maximum(wide, 0)\n"
    "return (2 * along * high).astype(dtype), (given * mx.square(high)).astype(dtype)",
    metal={
        "dgate": "gate > 0.0f ? dout * up * gate * 2.0f : 0.0f",
        "dup": "dout * max(gate, 0.0f) * max(gate, 0.0f)",
    },
    flops=7,
)
mish_glu_vjp = gradient(
    mish_glu,
    np=lambda gate, up, dout: (
        dout * up * mish_slope(gate),
        dout * gate * np.tanh(log_one_plus_exp(gate)),
    ),
    mlx=f"{_OF_GATE}{_MISH_SLOPE}"
    "return (along * slope).astype(dtype), (given * wide * w).astype(dtype)",
    metal={
        "dgate": "dout * up * (mish_gate(gate) + gate * sigmoid(gate) * mish_flat(gate))",
        "dup": "dout * gate * mish_gate(gate)",
    },
    helpers=MISH_FLAT,
    flops=48,
    formula="With w = tanh(log(1 + exp(gate))): dgate = dout up (w + gate sigmoid(gate) (1 - "
    "w^2)), dup = dout gate w.",
)
swish = elementwise(
    "swish",
    np=lambda x, beta: x * logistic(beta * x),
    mlx="x * mx.sigmoid(mx.array(beta, dtype=mx.float32) * x.astype(mx.float32)).astype(dtype)",
    metal="x * sigmoid(beta * x)",
    helpers=SIGMOID,
    params={"beta": 1.0},
    ranges={"beta": Range(-2.0, 4.0, usual=(1.0, 1.702))},
    flops=7,
    formula="out = x sigmoid(beta x).",
)
swish_vjp = gradient(
    swish,
    np=lambda x, dout, beta: dout * logistic(beta * x) * (1.0 + beta * x * logistic(-beta * x)),
    mlx=f"{_IN_FLOAT32}v = beta * wide\n"
    "return (given * mx.sigmoid(v) * (1 + v * mx.sigmoid(-v))).astype(dtype)",
    metal="dout * sigmoid(beta * x) * (1.0f + beta * x * sigmoid(-beta * x))",
    helpers=SIGMOID,
    flops=18,
    formula="dx = dout s (1 + beta x (1 - s)), s = sigmoid(beta x).",
)
depth_gate = elementwise(
    "depth_gate",
    np=lambda x, depth: depth * logistic(x),
    mlx="(depth * mx.sigmoid(x.astype(mx.float32))).astype(dtype)",
    metal="depth * sigmoid(x)",
    helpers=SIGMOID,
    params={"depth": 8.0},
    ranges={"depth": Range(1.0, 64.0, usual=(8.0,))},
    flops=7,
    formula="out = depth sigmoid(x): how many steps a looped layer takes, before rounding.",
)
depth_gate_vjp = gradient(
    depth_gate,
    np=lambda x, dout, depth: dout * depth * logistic(x) * logistic(-x),
    mlx=f"{_IN_FLOAT32}return (given * depth * mx.sigmoid(wide) * mx.sigmoid(-wide)).astype(dtype)",
    metal="dout * depth * sigmoid(x) * sigmoid(-x)",
    helpers=SIGMOID,
    flops=14,
    formula="dx = dout depth s (1 - s), s = sigmoid(x): the rounding of the depth counts as none.",
)
lerp = binary(
    "lerp",
    np=lambda x, y, rate: x + rate * (y - x),
    mlx="wide = x.astype(mx.float32)\n"
    "return (wide + rate * (y.astype(mx.float32) - wide)).astype(dtype)",
    metal="x + rate * (y - x)",
    params={"rate": 0.01},
    ranges={"rate": Range(0.0, 1.0, usual=(0.001, 0.01, 0.5))},
    flops=3,
    formula="out = x + rate (y - x): the moving average of weights.",
)
