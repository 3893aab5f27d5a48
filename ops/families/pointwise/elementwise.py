"""Elementwise ops: activations and sums, one output element from one element of every input."""

from __future__ import annotations

import numpy as np

from ops.families.forms.pointwise import binary, elementwise, gradient
from ops.fills import Positive
from ops.formulas import (
    gelu_erf_by_the_book,
    gelu_tanh_by_the_book,
    log_one_plus_exp,
    logistic,
    normal_share,
)
from ops.formulas import gelu_tanh as gelu_of
from ops.parameters import Range

LOG_ONE_PLUS = """
// log(1 + v) for v from 0 to 1, as 2 atanh(v / (2 + v)): the sum 1 + v would lose what v holds.
inline float log_one_plus(float v) {
  const float s = v / (2.0f + v);
  const float t = s * s;
  float sum = 1.0f / 15.0f;
  for (int n = 13; n > 0; n -= 2) {
    sum = sum * t + 1.0f / float(n);
  }
  return 2.0f * s * sum;
}
"""
NORMAL_SHARE = """
// The share of a normal distribution below v: Chebyshev fit of erfc, to 1.2e-7 of its value.
inline float normal_share(float v) {
  const float z = abs(v) * 0.70710678f;
  const float t = 1.0f / (1.0f + 0.5f * z);
  float sum = 0.17087277f;
  sum = sum * t - 0.82215223f;
  sum = sum * t + 1.48851587f;
  sum = sum * t - 1.13520398f;
  sum = sum * t + 0.27886807f;
  sum = sum * t - 0.18628806f;
  sum = sum * t + 0.09678418f;
  sum = sum * t + 0.37409196f;
  sum = sum * t + 1.00002368f;
  sum = sum * t - 1.26551223f;
  const float tail = 0.5f * t * exp(sum - z * z);
  return v > 0.0f ? 1.0f - tail : tail;
}
"""
MISH = """
// tanh(log(1 + exp(x))) with t = exp(-|x|), which neither overflows nor cancels.
inline float mish_gate(float x) {
  const float t = exp(-abs(x));
  const float up = x > 0.0f ? 1.0f + 2.0f * t : t * (t + 2.0f);
  return up / (up + (x > 0.0f ? 2.0f * t * t : 2.0f));
}
"""
EXP_LESS_ONE = """
// exp(x) - 1 for x up to 0, by tanh: the difference would lose what a small x holds.
inline float exp_less_one(float x) {
  const float t = tanh(0.5f * x);
  return 2.0f * t / (1.0f - t);
}
"""

silu = elementwise(
    "silu",
    np=lambda x: x * logistic(x),
    mlx="x * mx.sigmoid(x)",  # compiled it is mlx.nn.silu
    metal="x / (1.0f + exp(-x))",
    flops=6,
    formula="out[r, c] = x[r, c] * sigmoid(x[r, c]), where sigmoid(v) = 1 / (1 + exp(-v)). "
    "Finite for every finite x: large negative x gives 0, large positive x gives x.",
    nonfinite="propagate",
)
exp = elementwise("exp", np=np.exp, mlx="mx.exp(x)", metal="exp(x)", flops=4, nonfinite="propagate")
log = elementwise("log", np=np.log, mlx="mx.log(x)", metal="log(x)", flops=4, fill=Positive())
tanh = elementwise(
    "tanh", np=np.tanh, mlx="mx.tanh(x)", metal="tanh(x)", flops=4, nonfinite="propagate"
)
sigmoid = elementwise(
    "sigmoid",
    np=logistic,
    mlx="mx.sigmoid(x)",
    metal="1.0f / (1.0f + exp(-x))",
    flops=6,
    nonfinite="propagate",
)
relu = elementwise(
    "relu",
    np=lambda x: np.maximum(x, 0.0),
    mlx="mx.maximum(x, 0)",
    metal="max(x, 0.0f)",
    flops=1,
)
relu2 = elementwise(
    "relu2",
    np=lambda x: np.square(np.maximum(x, 0.0)),
    mlx="mx.square(mx.maximum(x, 0))",
    metal="max(x, 0.0f) * max(x, 0.0f)",
    flops=3,
)
gelu_tanh = elementwise(
    "gelu_tanh",
    np=gelu_of,
    steps=gelu_tanh_by_the_book,
    mlx="x * mx.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))",
    metal="x / (1.0f + exp(-1.59576912f * (x + 0.044715f * x * x * x)))",
    flops=12,
    formula="out = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), the approximate GELU. "
    "Where 1 + tanh cancels, x / (1 + exp(-2 u)) does not.",
    nonfinite="propagate",
)
gelu_erf = elementwise(
    "gelu_erf",
    np=lambda x: x * normal_share(x),
    steps=gelu_erf_by_the_book,
    mlx="x * (1 + mx.erf(x / math.sqrt(2))) / 2",
    metal="x * normal_share(x)",
    helpers=NORMAL_SHARE,
    flops=30,
    formula="out = 0.5 x (1 + erf(x / sqrt(2))), the exact GELU. Metal has no erf.",
    nonfinite="propagate",
)
quick_gelu = elementwise(
    "quick_gelu",
    np=lambda x: x * logistic(1.702 * x),
    mlx="x * mx.sigmoid(1.702 * x)",
    metal="x / (1.0f + exp(-1.702f * x))",
    flops=7,
    nonfinite="propagate",
)
softplus = elementwise(
    "softplus",
    np=log_one_plus_exp,
    mlx="mx.logaddexp(x, mx.array(0, dtype=dtype))",
    metal="max(x, 0.0f) + log_one_plus(exp(-abs(x)))",
    helpers=LOG_ONE_PLUS,
    flops=10,
    formula="out = log(1 + exp(x)). Finite for every finite x.",
)
mish = elementwise(
    "mish",
    np=lambda x: x * np.tanh(log_one_plus_exp(x)),
    mlx="x * mx.tanh(mx.logaddexp(x, mx.array(0, dtype=dtype)))",
    metal="x * mish_gate(x)",
    helpers=MISH,
    flops=14,
    formula="out = x tanh(log(1 + exp(x))). Finite for every finite x.",
)
elu = elementwise(
    "elu",
    np=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
    mlx="mx.where(x > 0, x, (alpha * mx.expm1(x)).astype(dtype))",
    metal="x > 0.0f ? x : alpha * exp_less_one(x)",
    helpers=EXP_LESS_ONE,
    params={"alpha": 1.0},
    ranges={"alpha": Range(-2.0, 2.0, usual=(0.0, 1.0))},
    flops=7,
    formula="out = x where x > 0, and alpha (exp(x) - 1) elsewhere.",
)
hard_sigmoid = elementwise(
    "hard_sigmoid",
    np=lambda x: np.clip((x + 3.0) / 6.0, 0.0, 1.0),
    mlx="mx.clip((x + 3) / 6, 0, 1)",
    metal="clamp((x + 3.0f) / 6.0f, 0.0f, 1.0f)",
    flops=4,
)
hard_swish = elementwise(
    "hard_swish",
    np=lambda x: x * np.clip((x + 3.0) / 6.0, 0.0, 1.0),
    mlx="x * mx.clip((x + 3) / 6, 0, 1)",
    metal="x * clamp((x + 3.0f) / 6.0f, 0.0f, 1.0f)",
    flops=5,
)
add = binary("add", np=np.add, mlx="x + y", metal="x + y", flops=1, nonfinite="propagate")
mul = binary("mul", np=np.multiply, mlx="x * y", metal="x * y", flops=1, nonfinite="propagate")
add_scale = binary(
    "add_scale",
    np=lambda x, y, alpha: alpha * (x + y),
    mlx="(alpha * (x.astype(mx.float32) + y.astype(mx.float32))).astype(dtype)",
    metal="alpha * (x + y)",
    params={"alpha": 0.5},
    ranges={"alpha": Range(-4.0, 4.0, usual=(0.0, 1.0))},
    flops=2,
    nonfinite="propagate",
)
relu2_vjp = gradient(
    relu2,
    np=lambda x, dout: 2.0 * dout * np.maximum(x, 0.0),
    mlx="2 * dout * mx.maximum(x, 0)",
    metal="2.0f * dout * max(x, 0.0f)",
    flops=3,
)
