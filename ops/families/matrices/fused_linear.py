"""Linear layers fused with what follows or goes before: a bias, an activation, a norm, a gate."""

from __future__ import annotations

from ops.baselines import Baseline
from ops.declaring.cases import cases, labelled
from ops.families.forms.linear import SILU, Weight, linear
from ops.families.norms.norms import EPS
from ops.formulas import gelu_tanh, logistic
from ops.workload import Tensor

AXES = "m n k"
SHAPES = (
    cases(AXES, (1, 1, 1), (4, 8, 16), (5, 33, 20), (32, 48, 64), (1, 128, 96)),
    cases(
        AXES,
        *((0, 4, 5), (4, 0, 5), (3, 4, 0), (1, 1, 257), (7, 13, 31), (33, 17, 65), (1, 257, 67)),
        *((65, 3, 129), (17, 1, 576), (2, 31, 1025)),
    ),
    (
        labelled(AXES, "smollm2-135m decode, key projection", 1, 192, 576),
        labelled(AXES, "smollm2-135m decode, up projection", 1, 1536, 576),
        labelled(AXES, "qwen3-0.6b decode, up projection", 1, 3072, 1024),
        labelled(AXES, "llama-3.2-1b decode, up projection", 1, 8192, 2048),
        labelled(AXES, "llama-3.2-1b decode, batch 4, up projection", 4, 8192, 2048),
    ),
)
EXPERT_AXES = "m n k experts"
GELU = """
inline float gelu(float v) {
  const float u = 1.59576912f * (v + 0.044715f * v * v * v);
  const float decay = exp(-abs(u));
  return v * (u < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
"""
linear_bias_silu = linear(
    "linear_bias_silu",
    (Weight("w"),),
    also=(Tensor("bias", ("n",)),),
    np=lambda first, bias: (first + bias) * logistic(first + bias),
    mlx={
        "in float32": "h = x.astype(mx.float32) @ w.astype(mx.float32).T + bias\n"
        "return (h * mx.sigmoid(h)).astype(dtype)",
        "addmm": "h = mx.addmm(bias, x, w.T)\nreturn h * mx.sigmoid(h)",
    },
    metal="silu(first + bias)",
    helpers=SILU,
    cases=SHAPES,
    extra_flops=7,
    formula="h = x w^T + bias, out = h sigmoid(h). The product may be rounded to T.",
)
linear_bias_gelu = linear(
    "linear_bias_gelu",
    (Weight("w"),),
    also=(Tensor("bias", ("n",)),),
    np=lambda first, bias: gelu_tanh(first + bias),
    mlx={
        "in float32": "h = x.astype(mx.float32) @ w.astype(mx.float32).T + bias\n"
        "return (h * mx.sigmoid(math.sqrt(8 / math.pi) * (h + 0.044715 * h**3))).astype(dtype)",
    },
    metal="gelu(first + bias)",
    helpers=GELU,
    cases=SHAPES,
    extra_flops=13,
    formula="h = x w^T + bias, out = 0.5 h (1 + tanh(sqrt(2 / pi) (h + 0.044715 h^3))). "
    "The product may be rounded to T.",
)
ffn_up_swiglu = linear(
    "ffn_up_swiglu",
    (Weight("gate"), Weight("up")),
    np=lambda first, second: first * logistic(first) * second,
    mlx={
        "in float32": "wide = x.astype(mx.float32)\n"
        "g = wide @ gate.astype(mx.float32).T\n"
        "return (g * mx.sigmoid(g) * (wide @ up.astype(mx.float32).T)).astype(dtype)",
        "compiled": Baseline(
            "g = x @ gate.T\nreturn g * mx.sigmoid(g) * (x @ up.T)", compiled=True
        ),
    },
    metal="silu(first) * second",
    helpers=SILU,
    cases=SHAPES,
    extra_flops=7,
    formula="g = x gate^T, u = x up^T, out = g sigmoid(g) u. g and u may be rounded to T.",
)
ffn_up_geglu = linear(
    "ffn_up_geglu",
    (Weight("gate"), Weight("up")),
    np=lambda first, second: gelu_tanh(first) * second,
    mlx={
        "in float32": "wide = x.astype(mx.float32)\n"
        "g = wide @ gate.astype(mx.float32).T\n"
        "g = g * mx.sigmoid(math.sqrt(8 / math.pi) * (g + 0.044715 * g**3))\n"
        "return (g * (wide @ up.astype(mx.float32).T)).astype(dtype)",
    },
    metal="gelu(first) * second",
    helpers=GELU,
    cases=SHAPES,
    extra_flops=14,
    formula="g = x gate^T, u = x up^T, out = 0.5 g (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3))) u. "
    "g and u may be rounded to T.",
)
rms_norm_linear = linear(
    "rms_norm_linear",
    (Weight("w"),),
    np=lambda first: first,
    mlx={
        "in float32": "h = mx.fast.rms_norm(x.astype(mx.float32), gain.astype(mx.float32), eps)\n"
        "return (h @ w.astype(mx.float32).T).astype(dtype)",
        "mx.fast.rms_norm": "mx.fast.rms_norm(x, gain, eps) @ w.T",
    },
    metal="first",
    prologue="rms",
    params={"eps": 1e-5},
    ranges={"eps": EPS},
    cases=(
        (*SHAPES[0], *cases(AXES, (3, 16, 40), eps=1e-2)),
        (*SHAPES[1], *cases(AXES, (5, 9, 33), eps=0.5), *cases(AXES, (2, 67, 96), eps=1e-6)),
        SHAPES[2],
    ),
    formula="h[i, p] = x[i, p] / sqrt(mean(x[i]^2) + eps) * gain[p], out = h w^T: the norm before "
    "the projections of a layer. h may be rounded to T.",
)
grouped_gemm = linear(
    "grouped_gemm",
    (Weight("w"),),
    np=lambda first: first,
    mlx={
        "in float32": "held = w.astype(mx.float32)[index]\n"
        "return (held @ x.astype(mx.float32)[..., None])[..., 0].astype(dtype)",
        "mx.gather_mm": "mx.gather_mm(x[:, None], w.swapaxes(-1, -2), rhs_indices=index, "
        "sorted_indices=True)[:, 0]",
    },
    metal="first",
    picked="rows",
    cases=(
        cases(EXPERT_AXES, (1, 1, 1, 1), (4, 8, 16, 2), (7, 33, 20, 3), (16, 16, 64, 8)),
        cases(
            EXPERT_AXES,
            *((0, 4, 8, 2), (3, 0, 8, 2), (2, 5, 0, 2), (1, 31, 67, 5), (33, 7, 31, 2)),
            *((13, 65, 129, 4), (67, 3, 17, 16)),
        ),
        (
            labelled(EXPERT_AXES, "granite-4-tiny decode, a slice of 32 columns", 6, 32, 1536, 6),
            labelled(EXPERT_AXES, "granite-4-tiny decode, 8 tokens", 48, 512, 1536, 16),
            labelled(EXPERT_AXES, "olmoe decode, 8 tokens", 64, 1024, 2048, 16),
        ),
    ),
    formula="Rows of x come sorted by expert: out[i, j] = sum over p of x[i, p] w[index[i], j, p].",
)
