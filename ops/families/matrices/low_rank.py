"""Linear layers beside a low rank or before a norm: QLoRA, a norm of outputs, projected caches."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.linear import GROUP, Weight
from ops.families.norms.norms import EPS
from ops.families.norms.norms_fused import rms
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op, Stored, unrounded
from ops.workload import Tensor, Workload, param_value

GEMM = "m n k"
LORA = "m n k rank group"
SKV = "tokens heads head_dim rank"
PACKED = Weight("w", 4)
RANK = Axis("rank", values=(8, 16, 32), compiled=True)
ADAPTER_RANK = Axis("rank", values=(8, 16, 32, 64), compiled=True)


def _linear_rms(inputs: Any, workload: Workload, stored: Stored = unrounded) -> tuple[Any, ...]:
    return (
        rms(stored(inputs["x"] @ inputs["w"].T), param_value(workload, "eps")) * inputs["weight"],
    )


linear_rms_norm = Op(
    name="linear_rms_norm",
    family="gemm",
    formula="h = x w^T, out[i, j] = h[i, j] / sqrt(mean of h[i]^2 + eps) * weight[j]. h may be "
    "rounded to T.",
    axes=axes("m", Axis("n", least=1), "k"),
    inputs=(Tensor("x", ("m", "k")), Tensor("w", ("n", "k")), Tensor("weight", ("n",))),
    outputs=(Tensor("out", ("m", "n"), match=Close("k + n")),),
    params={"eps": 1e-5},
    ranges={"eps": EPS},
    oracle=_linear_rms,
    steps=_linear_rms,
    baselines={
        "in float32": "h = x.astype(mx.float32) @ w.astype(mx.float32).T\n"
        "return mx.fast.rms_norm(h, weight.astype(mx.float32), eps).astype(dtype)",
        "mx.fast.rms_norm": "mx.fast.rms_norm(x @ w.T, weight, eps)",
    },
    flops="2 * m * n * k + 4 * m * n",
    visible=(
        *cases(GEMM, (1, 1, 1), (4, 8, 16), (5, 33, 20), (2, 128, 64)),
        *cases(GEMM, (3, 16, 40), eps=1e-2),
    ),
    hidden=(
        *cases(GEMM, (0, 4, 5), (3, 4, 0), (1, 1, 257), (7, 13, 31), (33, 17, 65), (1, 257, 67)),
        *cases(GEMM, (5, 65, 33), eps=0.5),
    ),
    bench=(
        labelled(GEMM, "qwen3-0.6b decode, one key head", 1, 128, 1024),
        labelled(GEMM, "smollm2-135m decode, output projection", 1, 576, 576),
        labelled(GEMM, "llama-3.2-1b decode, output projection", 1, 2048, 2048),
        labelled(GEMM, "llama-3.2-1b decode, batch 8, output projection", 8, 2048, 2048),
    ),
)


def _qlora(inputs: Any, workload: Workload, stored: Stored = unrounded) -> tuple[Any, ...]:
    x, group = inputs["x"], workload.axes["group"]
    base = stored(PACKED.dots(x, inputs, group, stored is not unrounded))
    small = stored(x @ inputs["down"].T)
    return (base + param_value(workload, "scale") * stored(small @ inputs["up"].T),)


qlora_linear = Op(
    name="qlora_linear",
    family="quantised",
    formula="out = x W^T + scale (x down^T) up^T: a 4-bit matrix as in `qmm_4bit` and an adapter "
    "of low rank beside it. Each of the products may be rounded to T.",
    axes=axes("m n", Axis("k", 32), ADAPTER_RANK, GROUP),
    inputs=(
        Tensor("x", ("m", "k")),
        *PACKED.tensors(()),
        Tensor("down", ("rank", "k")),
        Tensor("up", ("n", "rank")),
    ),
    outputs=(Tensor("out", ("m", "n"), match=Close("k + rank")),),
    params={"scale": 2.0},
    ranges={"scale": Range(-4.0, 4.0, usual=(0.0, 0.5, 1.0, 2.0))},
    constraints=("k % group == 0",),
    oracle=_qlora,
    steps=_qlora,
    baselines={
        "in float32": """
held = mx.dequantize(w, w_scales.astype(mx.float32), w_biases.astype(mx.float32),
                     group_size=group, bits=4)
wide = x.astype(mx.float32)
small = (wide @ down.astype(mx.float32).T) @ up.astype(mx.float32).T
return (wide @ held.T + scale * small).astype(dtype)
""",
        "mx.quantized_matmul": """
base = mx.quantized_matmul(x, w, w_scales, w_biases, transpose=True, group_size=group, bits=4)
return (base + scale * ((x @ down.T) @ up.T)).astype(dtype)
""",
    },
    flops="2 * m * n * k + 2 * m * rank * (n + k)",
    visible=(
        *cases(LORA, (1, 1, 32, 8, 32), (2, 16, 128, 8, 64), (4, 33, 256, 16, 64)),
        *cases(LORA, (1, 8, 64, 8, 32), scale=0.5),
    ),
    hidden=(
        *cases(LORA, (0, 4, 64, 8, 64), (3, 0, 64, 8, 32), (2, 5, 0, 8, 64), (1, 31, 96, 16, 32)),
        *cases(LORA, (7, 13, 320, 8, 64), (1, 67, 128, 32, 128), (2, 65, 64, 8, 64), scale=-1.0),
        *cases(LORA, (3, 5, 96, 64, 32)),
    ),
    bench=(
        labelled(LORA, "smollm2-135m decode, up projection", 1, 1536, 576, 8, 64),
        labelled(LORA, "llama-3.2-1b decode, up projection", 1, 8192, 2048, 16, 64),
        labelled(LORA, "llama-3.2-1b, batch 4, up projection", 4, 8192, 2048, 16, 64),
    ),
)


def _projected(x: Any, basis: Any) -> Any:
    return np.swapaxes(np.swapaxes(x, 0, 1) @ basis, 0, 1)


def _project(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    found = _projected(inputs["x"], inputs["basis"])
    low, high = found.min(axis=-1), found.max(axis=-1)
    scale = np.maximum((high - low) / 255.0, 1e-8)
    codes = np.clip((found - low[..., None]) / scale[..., None], 0.0, 255.0)
    return codes, scale, low


SKV_AXES = axes("tokens heads", Axis("head_dim", least=1), RANK)
SKV_CASES = (
    cases(SKV, (1, 1, 4, 8), (3, 2, 64, 16), (5, 4, 80, 8), (16, 3, 128, 16)),
    cases(SKV, (0, 2, 8, 8), (2, 0, 8, 16), (67, 1, 31, 8), (7, 5, 33, 32), (2, 3, 257, 16)),
    (
        labelled(SKV, "llama-3.2-1b decode, batch 8", 8, 8, 64, 16),
        labelled(SKV, "qwen3-0.6b prefill 512", 512, 8, 128, 16),
    ),
)
BASIS = Tensor("basis", ("heads", "head_dim", "rank"))
CODES = (
    Tensor("codes", ("tokens", "heads", "rank"), "uint8"),
    Tensor("scales", ("tokens", "heads"), "float32"),
    Tensor("biases", ("tokens", "heads"), "float32"),
)
skv_project_quantize = Op(
    name="skv_project_quantize",
    family="caches",
    formula="Keys or values in a basis of few directions, a matrix of each head: z[t, h] = "
    "x[t, h] basis[h]; biases = min z, scales = max((max z - min z) / 255, 1e-8), codes = (z - "
    "bias) / scale rounded to the nearest, 0 to 255.",
    axes=SKV_AXES,
    inputs=(Tensor("x", ("tokens", "heads", "head_dim")), BASIS),
    outputs=(
        Tensor("codes", ("tokens", "heads", "rank"), "uint8", match=Close("head_dim")),
        Tensor("scales", ("tokens", "heads"), "float32", match=Close("head_dim")),
        Tensor("biases", ("tokens", "heads"), "float32", match=Close("head_dim")),
    ),
    oracle=_project,
    steps=lambda inputs, workload, stored: _project(inputs, workload),
    baselines={
        "in float32": """
wide = x.astype(mx.float32)
z = (wide.swapaxes(0, 1) @ basis.astype(mx.float32)).swapaxes(0, 1)
low = mx.min(z, axis=-1, keepdims=True)
scale = mx.maximum((mx.max(z, axis=-1, keepdims=True) - low) / 255, 1e-8)
codes = mx.clip(mx.round((z - low) / scale), 0, 255).astype(mx.uint8)
return codes, scale[..., 0], low[..., 0]
"""
    },
    flops="2 * tokens * heads * head_dim * rank",
    visible=SKV_CASES[0],
    hidden=SKV_CASES[1],
    bench=SKV_CASES[2],
)


def _restored(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    scale, bias = inputs["scales"][..., None], inputs["biases"][..., None]
    z = inputs["codes"] * scale + bias
    return (_projected(z, np.swapaxes(inputs["basis"], -1, -2)),)


skv_restore = Op(
    name="skv_restore",
    family="caches",
    formula="What `skv_project_quantize` put away: z = codes * scale + bias, out[t, h] = "
    "basis[h] z[t, h].",
    axes=SKV_AXES,
    inputs=(*CODES, BASIS),
    outputs=(Tensor("out", ("tokens", "heads", "head_dim"), match=Close("rank")),),
    oracle=_restored,
    steps=lambda inputs, workload, stored: _restored(inputs, workload),
    baselines={
        "in float32": """
z = codes.astype(mx.float32) * scales[..., None] + biases[..., None]
held = basis.astype(mx.float32).swapaxes(-1, -2)
return (z.swapaxes(0, 1) @ held).swapaxes(0, 1).astype(dtype)
"""
    },
    flops="2 * tokens * heads * head_dim * rank",
    visible=SKV_CASES[0],
    hidden=SKV_CASES[1],
    bench=SKV_CASES[2],
)
