"""Linear layers with quantised weights, and those of a mixture of experts: what decoding waits for.

A decode step reads every weight once and computes little with it, so it is bound by memory: the
fewer bytes a weight has, and the fewer launches share them, the faster.
"""

from __future__ import annotations

from ops.declaring.cases import cases, labelled
from ops.families.forms.linear import SILU, Weight, linear
from ops.formulas import logistic
from ops.spec import Op

AXES = "m n k group"
PICKED = "m n k experts slots group"
QUANTISED = (
    cases(AXES, (1, 1, 32, 32), (1, 16, 128, 64), (4, 33, 256, 64), (2, 8, 512, 64)),
    cases(
        AXES,
        *((0, 4, 64, 64), (3, 0, 64, 32), (2, 5, 0, 64), (1, 31, 96, 32), (7, 13, 320, 64)),
        *((5, 65, 64, 64), (1, 67, 1152, 128), (33, 3, 192, 32), (1, 129, 2048, 64)),
    ),
    (
        labelled(AXES, "smollm2-135m decode, up projection", 1, 1536, 576, 64),
        labelled(AXES, "qwen3-0.6b decode, up projection", 1, 3072, 1024, 64),
        labelled(AXES, "llama-3.2-1b decode, up projection", 1, 8192, 2048, 64),
        labelled(AXES, "llama-3.1-8b decode, up projection", 1, 14336, 4096, 64),
        labelled(AXES, "llama-3.2-1b decode, batch 4, up projection", 4, 8192, 2048, 64),
    ),
)
EXPERTS = (
    cases(PICKED, (1, 4, 32, 2, 1, 32), (2, 16, 128, 4, 2, 64), (1, 33, 256, 8, 8, 64)),
    cases(
        PICKED,
        *((0, 4, 64, 2, 2, 64), (3, 0, 64, 2, 2, 32), (1, 4, 64, 3, 0, 64), (1, 31, 96, 1, 1, 32)),
        *((5, 7, 320, 3, 2, 64), (3, 17, 128, 16, 9, 128), (2, 65, 64, 5, 3, 64)),
    ),
    (
        labelled(PICKED, "qwen3-30b-a3b decode, a shard of 8", 1, 96, 2048, 16, 8, 64),
        labelled(PICKED, "granite-4-tiny decode", 1, 512, 1536, 62, 6, 64),
        labelled(PICKED, "qwen3-30b-a3b decode, 16 of 128 experts", 1, 768, 2048, 16, 8, 64),
        labelled(PICKED, "qwen3-30b-a3b decode, batch 4", 4, 768, 2048, 32, 8, 64),
    ),
)
CODES = "Weight c of row j is scale * code + bias, the code as in `dequantize_{bits}bit`."


def _matmul(name: str, bits: int) -> str:
    held = f"{name}, {name}_scales, {name}_biases"
    return f"mx.quantized_matmul(x, {held}, transpose=True, group_size=group, bits={bits})"


def _in_float32(bits: int) -> str:
    wide = (
        f"mx.dequantize(w.astype(mx.uint32), w_scales.astype(mx.float32), "
        f"w_biases.astype(mx.float32), group_size=group, bits={bits})"
    )
    return f"(x.astype(mx.float32) @ {wide}.T).astype(dtype)"


def qmm(bits: int) -> Op:
    """`x` times a matrix of packed codes."""
    return linear(
        f"qmm_{bits}bit",
        (Weight("w", bits),),
        np=lambda first: first,
        mlx={"in float32": _in_float32(bits), "mx.quantized_matmul": _matmul("w", bits)},
        metal="first",
        cases=QUANTISED,
        formula=f"out[i, j] = sum over p of x[i, p] * W[j, p]. {CODES.format(bits=bits)} "
        "Sums are carried in float32 and rounded once.",
        family="quantised",
    )


qmm_4bit = qmm(4)
qmm_8bit = qmm(8)
SWIGLU = "silu(first) * second"
_WIDE = """
def dense(w, s, b):
    held = mx.dequantize(w, s.astype(mx.float32), b.astype(mx.float32), group_size=group, bits=4)
    return x.astype(mx.float32) @ held.T
g = dense(gate, gate_scales, gate_biases)
return (g * mx.sigmoid(g) * dense(up, up_scales, up_biases)).astype(dtype)
"""
qmv_swiglu = linear(
    "qmv_swiglu",
    (Weight("gate", 4), Weight("up", 4)),
    np=lambda first, second: first * logistic(first) * second,
    mlx={
        "in float32": _WIDE,
        "mx.quantized_matmul": f"g = {_matmul('gate', 4)}\n"
        f"return g * mx.sigmoid(g) * {_matmul('up', 4)}",
    },
    metal=SWIGLU,
    helpers=SILU,
    cases=QUANTISED,
    formula="g = x gate^T, u = x up^T, out = g sigmoid(g) u: the first half of a feed-forward "
    f"layer in one launch. {CODES.format(bits=4)} g and u may be rounded to T.",
    family="quantised",
    extra_flops=7,
)
qmm_int8 = linear(
    "qmm_int8",
    (Weight("w", -8),),
    np=lambda first: first,
    mlx={
        "in float32": """
wide = (w.astype(mx.float32) - w_zero.astype(mx.float32)[:, None])
held = wide * w_scale.astype(mx.float32)[:, None]
return (x.astype(mx.float32) @ held.T).astype(dtype)
""",
    },
    metal="first",
    cases=(
        cases("m n k", (1, 1, 1), (1, 16, 128), (4, 33, 100), (2, 8, 512)),
        cases(
            "m n k", *((0, 4, 8), (3, 0, 8), (1, 31, 7), (7, 13, 257), (33, 3, 65), (1, 67, 1153))
        ),
        (
            labelled("m n k", "smollm2-135m decode, up projection", 1, 1536, 576),
            labelled("m n k", "llama-3.2-1b decode, up projection", 1, 8192, 2048),
        ),
    ),
    formula="out[i, j] = sum over p of x[i, p] * (w[j, p] - zero[j]) * scale[j], w of 8 bits.",
    family="quantised",
)
GATHERED = """
def gathered(w, s, b):
    return mx.gather_qmm(mx.expand_dims(x, (1, 2)), w, s, b, rhs_indices=index, transpose=True,
                         group_size=group, bits=4)[:, :, 0]
"""
_GATHERED_WIDE = """
def gathered(w, s, b):
    held = mx.dequantize(w, s.astype(mx.float32), b.astype(mx.float32), group_size=group, bits=4)
    return (held[index] @ x.astype(mx.float32)[:, None, :, None])[..., 0]
"""
gather_qmm_swiglu = linear(
    "gather_qmm_swiglu",
    (Weight("gate", 4), Weight("up", 4)),
    np=lambda first, second: first * logistic(first) * second,
    mlx={
        "in float32": f"{_GATHERED_WIDE}g = gathered(gate, gate_scales, gate_biases)\n"
        "return (g * mx.sigmoid(g) * gathered(up, up_scales, up_biases)).astype(dtype)",
        "mx.gather_qmm": f"{GATHERED}g = gathered(gate, gate_scales, gate_biases)\n"
        "return g * mx.sigmoid(g) * gathered(up, up_scales, up_biases)",
    },
    metal=SWIGLU,
    helpers=SILU,
    cases=EXPERTS,
    formula="For token i and slot s, with the matrices of expert index[i, s]: g = gate x[i], "
    "u = up x[i], out[i, s] = g sigmoid(g) u: the first half of the experts of a token in one "
    f"launch. {CODES.format(bits=4)} g and u may be rounded to T.",
    family="moe",
    picked="slots",
    extra_flops=7,
)
gather_qmm = linear(
    "gather_qmm",
    (Weight("w", 4),),
    np=lambda first: first,
    mlx={
        "in float32": f"{_GATHERED_WIDE}return gathered(w, w_scales, w_biases).astype(dtype)",
        "mx.gather_qmm": f"{GATHERED}return gathered(w, w_scales, w_biases)",
    },
    metal="first",
    cases=EXPERTS,
    formula="For token i and slot s: out[i, s] = W[index[i, s]] x[i], a matrix of each expert. "
    + CODES.format(bits=4),
    family="moe",
    picked="slots",
)
