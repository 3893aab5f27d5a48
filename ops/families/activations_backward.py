"""Gradients of activations and of gated linear units, and units of further activations."""

from __future__ import annotations

import numpy as np

from ops.families.elementwise import (
    MISH,
    binary,
    elementwise,
    gradient,
    relu,
    sigmoid,
    softplus,
    tanh,
)
from ops.families.glu import glu, reglu, sigmoid_glu
from ops.formulas import log_one_plus_exp, logistic
from ops.parameters import Range

SIGMOID = """
// Neither end overflows, and what is far below 0 keeps its size.
inline float sigmoid(float v) {
  const float decay = exp(-abs(v));
  return (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
"""
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
