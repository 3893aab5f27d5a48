"""Gradients of gated linear units whose inputs lie packed, or to which a residual is added."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import axes
from ops.families.forms.indexed import indexed
from ops.families.forms.pointwise import gradient
from ops.families.pointwise.activations_backward import GELU_SLOPE, gelu_slope
from ops.families.pointwise.biased import (
    PACKED,
    ROWS,
    geglu_packed,
    silu_mul_residual,
    swiglu_packed,
)
from ops.formulas import gelu_tanh, logistic
from ops.matches import Close
from ops.spec import Op
from ops.workload import Tensor

SILU_BACK = """
inline float value(float v) { return v / (1.0f + exp(-v)); }
inline float slope(float v) { return (1.0f + v / (1.0f + exp(v))) / (1.0f + exp(-v)); }
"""
GELU_BACK = f"""{GELU_SLOPE}
inline float value(float v) {{ return v * sigmoid(1.59576912f * v * (1.0f + 0.044715f * v * v)); }}
inline float slope(float v) {{ return gelu_slope(v); }}
"""
SILU_TEXT = """
def value(h):
    return h * mx.sigmoid(h)
def slope(h):
    return mx.sigmoid(h) * (1 + h * mx.sigmoid(-h))
"""
GELU_TEXT = """
def value(h):
    return h * mx.sigmoid(math.sqrt(8 / math.pi) * (h + 0.044715 * h**3))
def slope(h):
    u = math.sqrt(8 / math.pi) * (h + 0.044715 * h**3)
    steep = math.sqrt(8 / math.pi) * (1 + 0.134145 * mx.square(h))
    return mx.sigmoid(u) * (1 + h * mx.sigmoid(-u) * mx.where(mx.abs(h) < 100, steep, 0))
"""


def _silu(h: Any) -> tuple[Any, Any]:
    return h * logistic(h), logistic(h) * (1.0 + h * logistic(-h))


def _gelu(h: Any) -> tuple[Any, Any]:
    return gelu_tanh(h), gelu_slope(h)


def packed_gradient(forward: Op, of_gate: Any, mlx: str, helpers: str, flops: int) -> Op:
    """The gradient of `x`, packed as `x` is, and of the bias, its sum over the rows.

    Args:
        forward: The unit.
        of_gate: Value and slope of the activation in float64.
        mlx: MLX functions `value` and `slope` of the gate in float32.
        helpers: Metal functions of the same names.
        flops: FLOPs of a pair of gate and up.
    """

    def formula(x: Any, bias: Any, dout: Any = None) -> Any:
        if dout is None:
            bias, dout = 0.0, bias
        h = x + bias
        half = h.shape[-1] // 2
        value, slope = of_gate(h[:, :half])
        dx = np.concatenate([dout * h[:, half:] * slope, dout * value], axis=-1)
        return dx, dx.sum(axis=0)

    return indexed(
        f"{forward.name}_vjp",
        "glu",
        axes(ROWS),
        (*forward.inputs, Tensor("dout", ("rows", "cols"))),
        (Tensor("dx", ("rows", "2 * cols")), Tensor("dbias", ("2 * cols",), match=Close("rows"))),
        np=formula,
        steps=formula,
        mlx=f"""
{mlx}
wide = x.astype(mx.float32) + (0 if bias is None else bias.astype(mx.float32))
h, up, given = wide[:, :cols], wide[:, cols:], dout.astype(mx.float32)
dx = mx.concatenate([given * up * slope(h), given * value(h)], axis=-1)
return dx.astype(dtype), mx.sum(dx, axis=0).astype(dtype)
""",
        metal="""
const float gate_bias = HAS_BIAS ? float(bias[i]) : 0.0f;
const float up_bias = HAS_BIAS ? float(bias[i + cols]) : 0.0f;
float gate_sum = 0.0f;
float up_sum = 0.0f;
for (uint r = 0; r < rows; ++r) {
  const size_t at = size_t(r) * 2 * cols + i;
  const float gate = float(x[at]) + gate_bias;
  const float given = float(dout[size_t(r) * cols + i]);
  const float of_gate = given * (float(x[at + cols]) + up_bias) * slope(gate);
  const float of_up = given * value(gate);
  dx[at] = T(of_gate);
  dx[at + cols] = T(of_up);
  gate_sum += of_gate;
  up_sum += of_up;
}
dbias[i] = T(gate_sum);
dbias[i + cols] = T(up_sum);
""",
        helpers=helpers,
        count="cols",
        flops=f"rows * cols * {flops}",
        cases=(PACKED[0], PACKED[1], PACKED[2]),
        formula="With h = x + bias (x where there is no bias), its first half the gate g, its "
        "second half the up projection u, and a the activation of the unit: dx[r, c] = "
        "dout[r, c] u a'(g), dx[r, cols + c] = dout[r, c] a(g); dbias is the sum of dx over the "
        "rows, carried in float32.",
        gradient_of=forward.name,
    )


swiglu_packed_vjp = packed_gradient(swiglu_packed, _silu, SILU_TEXT, SILU_BACK, 24)
geglu_packed_vjp = packed_gradient(geglu_packed, _gelu, GELU_TEXT, GELU_BACK, 42)
silu_mul_residual_vjp = gradient(
    silu_mul_residual,
    np=lambda gate, up, residual, dout: (
        dout * up * logistic(gate) * (1.0 + gate * logistic(-gate)),
        dout * gate * logistic(gate),
        dout,
    ),
    mlx="g, u, d = gate.astype(mx.float32), up.astype(mx.float32), dout.astype(mx.float32)\n"
    "s = mx.sigmoid(g)\n"
    "return (d * u * s * (1 + g * mx.sigmoid(-g))).astype(dtype), (d * g * s).astype(dtype), dout",
    metal={
        "dgate": "dout * up * ((1.0f + gate / (1.0f + exp(gate))) / (1.0f + exp(-gate)))",
        "dup": "dout * gate / (1.0f + exp(-gate))",
        "dresidual": "dout",
    },
    flops=22,
    formula="With s = sigmoid(gate): dgate = dout up s (1 + gate (1 - s)), dup = dout gate s, "
    "dresidual = dout.",
)
