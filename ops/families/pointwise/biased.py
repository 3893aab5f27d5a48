"""Pointwise ops that look beyond their own place: a bias a column, two halves of a row, a hash."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import axes
from ops.declaring.cases import cases
from ops.families.forms.indexed import indexed
from ops.families.forms.pointwise import BENCH, binary, elements, pointwise
from ops.families.forms.rowwise import rowwise
from ops.families.pointwise.activations_backward import SIGMOID
from ops.formulas import gelu_tanh, logistic
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Case, Tensor

ROWS = "rows cols"
SHAPES = (
    cases(ROWS, (1, 1), (4, 64), (8, 128), (3, 100), (2, 1024)),
    cases(ROWS, (0, 64), (3, 0), (1, 2), (67, 1), (5, 31), (7, 33), (3, 257), (1, 8209)),
    BENCH,
)
BIAS = Tensor("bias", ("cols",))
GELU = """
inline float gelu(float v) {
  const float u = 1.59576912f * (v + 0.044715f * v * v * v);
  const float decay = exp(-abs(u));
  return v * (u < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
"""
SILU = """
inline float silu(float v) {
  const float decay = exp(-abs(v));
  return v * (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
"""
_GELU = "h * mx.sigmoid(math.sqrt(8 / math.pi) * (h + 0.044715 * h**3))"


def biased(name: str, activation: Any, mlx: str, metal: str, flops: int, helpers: str = "") -> Op:
    """`out = activation(x + bias)`, a bias a column; the MLX text is over the sum `h`."""
    return rowwise(
        name,
        "elementwise",
        (elements("x"), BIAS),
        (elements("out"),),
        np=lambda x, bias: activation(x + bias),
        steps=lambda stored, x, bias: activation(x + bias),
        mlx=f"h = x.astype(mx.float32) + bias.astype(mx.float32)\nreturn ({mlx}).astype(dtype)",
        passes={},
        metal={"out": metal},
        helpers=helpers,
        flops=flops,
        formula=f"h = x[r, c] + bias[c], out[r, c] = {metal.replace('x + bias', 'h')}.",
        cases=SHAPES,
    )


add_bias = biased("add_bias", lambda h: h, "h", "x + bias", 1)
bias_silu = biased(
    "bias_silu", lambda h: h * logistic(h), "h * mx.sigmoid(h)", "silu(x + bias)", 8, SILU
)
bias_gelu = biased("bias_gelu", gelu_tanh, _GELU, "gelu(x + bias)", 14, GELU)
saxpy = binary(
    "saxpy",
    np=lambda x, y, alpha: alpha * x + y,
    mlx="(alpha * x.astype(mx.float32) + y.astype(mx.float32)).astype(dtype)",
    metal="alpha * x + y",
    params={"alpha": 2.0},
    ranges={"alpha": Range(-8.0, 8.0, usual=(0.0, 1.0, 0.5))},
    flops=2,
)
silu_mul_residual = pointwise(
    "silu_mul_residual",
    "glu",
    (elements("gate"), elements("up"), elements("residual")),
    {"out": "gate * sigmoid(gate) * up + residual"},
    np=lambda gate, up, residual: gate * logistic(gate) * up + residual,
    steps=lambda gate, up, residual: gate * logistic(gate) * up + residual,
    mlx="g = gate.astype(mx.float32)\n"
    "return (g * mx.sigmoid(g) * up.astype(mx.float32) + residual.astype(mx.float32))"
    ".astype(dtype)",
    helpers=SIGMOID,
    flops=9,
    formula="out = gate sigmoid(gate) up + residual.",
)


def _absent(case: Case, at: int) -> Case:
    """Every other case goes without its bias."""
    return Case(case.axes, case.params, case.label, case.types, ("bias",) if at % 2 else ())


PACKED = tuple(tuple(_absent(c, at) for at, c in enumerate(s)) for s in SHAPES)


def packed(name: str, activation: Any, mlx: str, metal: str, helpers: str, flops: int) -> Op:
    """A gated linear unit whose gate and up lie one behind the other in every row of `x`."""

    def formula(x: Any, bias: Any = None) -> Any:
        h = x if bias is None else x + bias
        half = h.shape[-1] // 2
        return activation(h[:, :half]) * h[:, half:]

    return indexed(
        name,
        "glu",
        axes(ROWS),
        (Tensor("x", ("rows", "2 * cols")), Tensor("bias", ("2 * cols",), optional=True)),
        (Tensor("out", ("rows", "cols")),),
        np=formula,
        steps=formula,
        mlx=f"""
wide = x.astype(mx.float32) + (0 if bias is None else bias.astype(mx.float32))
h, up = wide[:, :cols], wide[:, cols:]
return ({mlx} * up).astype(dtype)
""",
        metal=f"""
const uint column = i % cols;
const uint at = (i / cols) * 2 * cols + column;
const float gate = float(x[at]) + (HAS_BIAS ? float(bias[column]) : 0.0f);
const float up = float(x[at + cols]) + (HAS_BIAS ? float(bias[column + cols]) : 0.0f);
out[i] = T({metal} * up);
""",
        helpers=helpers,
        flops=f"rows * cols * {flops}",
        cases=(PACKED[0], PACKED[1], PACKED[2]),
        formula="h = x + bias (x where there is no bias); the gate is the first half of a row of h,"
        f" the up projection the second: out[r, c] = {metal.replace('gate', 'h[r, c]')} * "
        "h[r, cols + c].",
    )


swiglu_packed = packed(
    "swiglu_packed", lambda h: h * logistic(h), "h * mx.sigmoid(h)", "silu(gate)", SILU, 9
)
geglu_packed = packed("geglu_packed", gelu_tanh, _GELU, "gelu(gate)", GELU, 15)


def _hash(x: Any, seed: int) -> Any:
    """One uint32 an element: two rounds of MurmurHash3's finaliser over its place and the seed."""
    with np.errstate(over="ignore"):
        word = np.arange(x.size, dtype=np.uint32) * np.uint32(0x9E3779B9)
        word = word ^ np.uint32(seed & 0xFFFFFFFF)
        for _ in range(2):
            word = (word ^ (word >> np.uint32(16))) * np.uint32(0x85EBCA6B)
            word = (word ^ (word >> np.uint32(13))) * np.uint32(0xC2B2AE35)
            word = word ^ (word >> np.uint32(16))
    return word.reshape(x.shape)


dropout = rowwise(
    "dropout",
    "elementwise",
    (elements("x"),),
    (elements("out"),),
    np=lambda x, drop, seed: np.where(
        (_hash(x, seed) >> np.uint32(8)) * 2.0**-24 >= drop, x / (1.0 - drop), 0.0
    ),
    mlx="""
word = mx.arange(rows * cols, dtype=mx.uint32) * mx.array(0x9E3779B9, dtype=mx.uint32)
word = word ^ mx.array(seed % 4294967296, dtype=mx.uint32)
for step in range(2):
    word = (word ^ (word >> 16)) * mx.array(0x85EBCA6B, dtype=mx.uint32)
    word = (word ^ (word >> 13)) * mx.array(0xC2B2AE35, dtype=mx.uint32)
    word = word ^ (word >> 16)
u = (word >> 8).astype(mx.float32).reshape(rows, cols) * (2.0**-24)
kept = u >= mx.array(drop, dtype=mx.float32)
return mx.where(kept, x.astype(mx.float32) / (1 - drop), 0).astype(dtype)
""",
    passes={},
    metal={"out": "chance(row * cols + c, uint(seed)) >= drop ? x / (1.0f - drop) : 0.0f"},
    helpers="""
inline float chance(uint place, uint seed) {
  uint word = place * 0x9E3779B9u ^ seed;
  for (int step = 0; step < 2; ++step) {
    word = (word ^ word >> 16) * 0x85EBCA6Bu;
    word = (word ^ word >> 13) * 0xC2B2AE35u;
    word = word ^ word >> 16;
  }
  return float(word >> 8) * 5.9604644775390625e-8f;
}
""",
    flops=8,
    params={"drop": 0.1, "seed": 0},
    ranges={
        "drop": Range(0.0, 0.9, usual=(0.1, 0.5)),
        "seed": Range(0, 2**31 - 1, usual=(0, 1, 12345)),
    },
    formula="w = (r * cols + c) * 0x9e3779b9 ^ seed in uint32; twice: w = (w ^ w >> 16) * "
    "0x85ebca6b, w = (w ^ w >> 13) * 0xc2b2ae35, w = w ^ w >> 16. u = (w >> 8) / 2^24; "
    "out[r, c] = x[r, c] / (1 - drop) where u >= drop, and 0 elsewhere: no numbers are stored.",
    cases=(
        (*SHAPES[0], *cases(ROWS, (5, 48), drop=0.5, seed=7)),
        (*SHAPES[1], *cases(ROWS, (6, 70), drop=0.25, seed=123456789)),
        BENCH,
    ),
)
