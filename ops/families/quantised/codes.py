"""Codes of few bits: floats of eight bits, NF4, signed integers, halves of a code, truth values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.forms.linear import SILU
from ops.families.matrices.fused_linear import GELU
from ops.families.quantised.quantised import dequantised
from ops.fills import Bits, Bool, Int
from ops.formulas import gelu_tanh, logistic
from ops.matches import Exact
from ops.parameters import Range
from ops.workload import Tensor

PLAIN = "rows cols"
PLAIN_CASES = (
    (*cases(PLAIN, (1, 1), (4, 64), (3, 100)), *cases(PLAIN, (2, 1024), scale=0.02)),
    (
        *cases(PLAIN, (0, 4), (3, 0), (67, 1), (7, 31), (3, 257)),
        *cases(PLAIN, (129, 65), (1, 4099), scale=-0.125),
    ),
    (
        labelled(PLAIN, "smollm2-135m key projection", 192, 576),
        labelled(PLAIN, "smollm2-135m up projection", 1536, 576),
        labelled(PLAIN, "llama-3.2-1b up projection", 8192, 2048),
    ),
)
BLOCKED = "rows blocks block"
BLOCK = Axis("block", values=(32, 64, 128))
BLOCK_CASES = (
    cases(BLOCKED, (1, 1, 32), (4, 2, 64), (3, 5, 64)),
    cases(BLOCKED, (0, 2, 32), (3, 0, 32), (7, 1, 64), (31, 9, 32), (2, 17, 128), (33, 3, 32)),
    (
        labelled(BLOCKED, "smollm2-135m key projection", 192, 9, 64),
        labelled(BLOCKED, "smollm2-135m up projection", 1536, 9, 64),
        labelled(BLOCKED, "llama-3.2-1b up projection", 8192, 16, 128),
    ),
)
SCALED = {"scale": 0.5}
SCALES = {"scale": Range(-8.0, 8.0, usual=(0.02, 1.0))}
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
    *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
    *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
    *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
)
"""Quantiles of a normal distribution, as QLoRA has them."""


def e4m3(code: Any) -> Any:
    """Values of 8-bit floats with 4 bits of exponent; codes of NaN are not among them."""
    whole = code.astype(np.int64)
    sign, exponent, mantissa = 1.0 - 2.0 * (whole >> 7), (whole >> 3) & 15, whole & 7
    small, large = mantissa / 8.0 * 2.0**-6, (1 + mantissa / 8.0) * 2.0 ** (exponent - 7.0)
    return sign * np.where(exponent == 0, small, large)


def e5m2(code: Any) -> Any:
    """Values of 8-bit floats with 5 bits of exponent; no infinity and no NaN is among them."""
    whole = code.astype(np.int64)
    sign, exponent, mantissa = 1.0 - 2.0 * (whole >> 7), (whole >> 2) & 31, whole & 3
    small, large = mantissa / 4.0 * 2.0**-14, (1 + mantissa / 4.0) * 2.0 ** (exponent - 15.0)
    return sign * np.where(exponent == 0, small, large)


dequantize_fp8_e4m3 = indexed(
    "dequantize_fp8_e4m3",
    "quantised",
    axes(PLAIN),
    (Tensor("code", ("rows", "cols"), "uint8", Bits(without=(0x7F, 0xFF))),),
    (Tensor("out", ("rows", "cols")),),
    np=lambda code, scale: e4m3(code) * scale,
    mlx="(mx.from_fp8(code, dtype=mx.float32) * scale).astype(dtype)",
    metal="out[i] = T(e4m3(code[i]) * scale);",
    helpers="""
inline float e4m3(uint code) {
  const uint exponent = code >> 3 & 15u;
  const float mantissa = float(code & 7u) * 0.125f;
  const int power = exponent == 0 ? -6 : int(exponent) - 7;
  const float size = ldexp(exponent == 0 ? mantissa : 1.0f + mantissa, power);
  return code >> 7 ? -size : size;
}
""",
    flops="rows * cols * 4",
    params=SCALED,
    ranges=SCALES,
    cases=PLAIN_CASES,
    formula="Each code is an 8-bit float: sign, 4 bits of exponent (bias 7), 3 of mantissa, no "
    "infinities; its NaN, 0x7f and 0xff, does not occur. out = value * scale.",
)
dequantize_fp8_e5m2 = indexed(
    "dequantize_fp8_e5m2",
    "quantised",
    axes(PLAIN),
    (
        Tensor(
            "code",
            ("rows", "cols"),
            "uint8",
            Bits(without=(0x7C, 0x7D, 0x7E, 0x7F, 0xFC, 0xFD, 0xFE, 0xFF)),
        ),
    ),
    (Tensor("out", ("rows", "cols")),),
    np=lambda code, scale: e5m2(code) * scale,
    mlx="((code.astype(mx.uint16) << 8).view(mx.float16).astype(mx.float32) * scale).astype(dtype)",
    metal="out[i] = T(float(as_type<half>(ushort(ushort(code[i]) << 8))) * scale);",
    flops="rows * cols",
    params={"scale": 0.25},
    ranges={"scale": Range(-1.0, 1.0, usual=(0.02, 0.5, 1.0))},
    cases=PLAIN_CASES,
    formula="Each code is an 8-bit float: sign, 5 bits of exponent (bias 15), 2 of mantissa: the "
    "upper half of a float16; no infinity and no NaN occurs. out = value * scale.",
)
dequantize_nf4 = indexed(
    "dequantize_nf4",
    "quantised",
    axes("rows blocks", BLOCK),
    (
        Tensor("packed", ("rows", "blocks", "block // 2"), "uint8", Bits()),
        Tensor("scales", ("rows", "blocks")),
    ),
    (Tensor("out", ("rows", "blocks", "block")),),
    np=lambda packed, scales: (
        np.array(NF4)[
            np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:2], -1)
            if packed.size
            else np.zeros((*packed.shape[:2], packed.shape[2] * 2), np.uint8)
        ]
        * scales[..., None]
    ),
    mlx=f"""
table = mx.array({list(NF4)})
found = mx.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, blocks, block)
return (table[found.astype(mx.uint32)] * scales.astype(mx.float32)[..., None]).astype(dtype)
""",
    metal="""
const uint byte = packed[i / 2];
out[i] = T(NF4[i % 2 ? byte >> 4 : byte & 15u] * float(scales[i / block]));
""",
    helpers="constant float NF4[16] = {" + ", ".join(f"{v!r}f" for v in NF4) + "};",
    flops="rows * blocks * block",
    cases=BLOCK_CASES,
    formula="Two codes a byte, the first in the low nibble: out = table[code] * scale of the block,"
    f" the table {', '.join(f'{v:.9g}' for v in NF4)}.",
)


def _nibbles(packed: Any) -> Any:
    """The 4-bit codes of bytes along the last axis, the first in the low nibble."""
    both = np.stack([packed & 15, packed >> 4], axis=-1)
    return both.reshape(*packed.shape[:-1], 2 * packed.shape[-1])


dequantize_int4 = indexed(
    "dequantize_int4",
    "quantised",
    axes("rows blocks", BLOCK),
    (
        Tensor("packed", ("rows", "blocks", "block // 2"), "uint8", Bits()),
        Tensor("scales", ("rows", "blocks")),
    ),
    (Tensor("out", ("rows", "blocks", "block")),),
    np=lambda packed, scales: (
        ((_nibbles(packed).astype(np.float64) + 8.0) % 16.0 - 8.0) * scales[..., None]
    ),
    mlx="""
both = mx.stack([packed & 15, packed >> 4], axis=-1).reshape(rows, blocks, block)
code = both.astype(mx.float32) - 16 * (both > 7)
return (code * scales.astype(mx.float32)[..., None]).astype(dtype)
""",
    metal="""
const int nibble = packed[i / 2] >> (i % 2 ? 4 : 0) & 15;
out[i] = T(float(nibble > 7 ? nibble - 16 : nibble) * float(scales[i / block]));
""",
    flops="rows * blocks * block",
    cases=BLOCK_CASES,
    formula="Two codes a byte, the first in the low nibble, each from -8 to 7 in two's complement: "
    "out = code * scale of its block.",
)
SYMMETRIC = (
    Tensor("code", ("rows", "blocks", "block"), "int8", Int(-128, 127)),
    Tensor("scales", ("rows", "blocks")),
)
dequantize_int8 = indexed(
    "dequantize_int8",
    "quantised",
    axes("rows blocks", BLOCK),
    SYMMETRIC,
    (Tensor("out", ("rows", "blocks", "block")),),
    np=lambda code, scales: code.astype(np.float64) * scales[..., None],
    mlx="(code.astype(mx.float32) * scales.astype(mx.float32)[..., None]).astype(dtype)",
    metal="out[i] = T(float(code[i]) * float(scales[i / block]));",
    flops="rows * blocks * block",
    cases=BLOCK_CASES,
    formula="out = code * scale of its block of neighbouring columns.",
)
dequantize_int8_silu = indexed(
    "dequantize_int8_silu",
    "quantised",
    axes("rows blocks", BLOCK),
    SYMMETRIC,
    (Tensor("out", ("rows", "blocks", "block")),),
    np=lambda code, scales: code * scales[..., None] * logistic(code * scales[..., None]),
    steps=lambda code, scales: code * scales[..., None] * logistic(code * scales[..., None]),
    mlx="w = code.astype(mx.float32) * scales.astype(mx.float32)[..., None]\n"
    "return (w * mx.sigmoid(w)).astype(dtype)",
    metal="out[i] = T(silu(float(code[i]) * float(scales[i / block])));",
    helpers=SILU,
    flops="rows * blocks * block * 8",
    cases=BLOCK_CASES,
    formula="w = code * scale of its block of neighbouring columns; out = w sigmoid(w).",
)
swiglu_int8 = indexed(
    "swiglu_int8",
    "quantised",
    axes("rows blocks", BLOCK),
    (
        Tensor("gate", ("rows", "blocks", "block"), "int8", Int(-128, 127)),
        Tensor("gate_scales", ("rows", "blocks")),
        Tensor("up", ("rows", "blocks", "block"), "int8", Int(-128, 127)),
        Tensor("up_scales", ("rows", "blocks")),
    ),
    (Tensor("out", ("rows", "blocks", "block")),),
    np=lambda gate, gate_scales, up, up_scales: _swiglu(
        gate * gate_scales[..., None], up * up_scales[..., None]
    ),
    steps=lambda gate, gate_scales, up, up_scales: _swiglu(
        gate * gate_scales[..., None], up * up_scales[..., None]
    ),
    mlx="""
g = gate.astype(mx.float32) * gate_scales.astype(mx.float32)[..., None]
u = up.astype(mx.float32) * up_scales.astype(mx.float32)[..., None]
return (g * mx.sigmoid(g) * u).astype(dtype)
""",
    metal="""
const uint at = i / block;
const float g = float(gate[i]) * float(gate_scales[at]);
out[i] = T(silu(g) * (float(up[i]) * float(up_scales[at])));
""",
    helpers=SILU,
    flops="rows * blocks * block * 9",
    cases=BLOCK_CASES,
    formula="g and u are gate and up times the scales of their blocks; out = g sigmoid(g) u.",
)
dequantize_2bit = dequantised(
    "dequantize_2bit",
    bits=2,
    np=lambda code, scale, bias: scale * code + bias,
    mlx="mx.dequantize(packed, scales, biases, group_size=group, bits=2)",
    metal="scale * code + bias",
    flops=2,
)
dequantize_4bit_silu = dequantised(
    "dequantize_4bit_silu",
    bits=4,
    np=lambda code, scale, bias: (scale * code + bias) * logistic(scale * code + bias),
    mlx="w = mx.dequantize(packed, scales.astype(mx.float32), biases.astype(mx.float32), "
    "group_size=group, bits=4)\nreturn (w * mx.sigmoid(w)).astype(dtype)",
    metal="silu(scale * code + bias)",
    helpers=SILU,
    flops=8,
)
dequantize_4bit_gelu = dequantised(
    "dequantize_4bit_gelu",
    bits=4,
    np=lambda code, scale, bias: gelu_tanh(scale * code + bias),
    mlx="w = mx.dequantize(packed, scales.astype(mx.float32), biases.astype(mx.float32), "
    "group_size=group, bits=4)\n"
    "return (w * mx.sigmoid(math.sqrt(8 / math.pi) * (w + 0.044715 * w**3))).astype(dtype)",
    metal="gelu(scale * code + bias)",
    helpers=GELU,
    flops=14,
)
dequantize_high_bits = dequantised(
    "dequantize_high_bits",
    bits=4,
    np=lambda code, scale, bias: scale * (4.0 * np.floor(code / 4.0)) + bias,
    mlx="""
fours = mx.dequantize(packed & 0xCCCCCCCC, scales.astype(mx.float32), biases.astype(mx.float32),
                      group_size=group, bits=4)
return fours.astype(dtype)
""",
    metal="scale * float(uint(code) & 12u) + bias",
    flops=2,
    formula="out = scale * (code with its two low bits cleared) + bias. With dequantize_low_bits "
    "it sums to dequantize_4bit: a weight that is sent in two halves.",
)
dequantize_low_bits = dequantised(
    "dequantize_low_bits",
    bits=4,
    np=lambda code, scale, bias: scale * (code - 4.0 * np.floor(code / 4.0)) + 0.0 * bias,
    mlx="""
codes = mx.dequantize(packed & 0x33333333, scales.astype(mx.float32),
                      mx.zeros(biases.shape, dtype=mx.float32), group_size=group, bits=4)
return codes.astype(dtype)
""",
    metal="scale * float(uint(code) & 3u)",
    flops=2,
    formula="out = scale * (code & 3): what dequantize_high_bits leaves.",
)
pack_bits = indexed(
    "pack_bits",
    "quantised",
    axes("words"),
    (Tensor("flags", ("words", "8"), "bool_", Bool()),),
    (Tensor("out", ("words",), "uint8", match=Exact()),),
    np=lambda flags: (flags.astype(np.uint8) << np.arange(8, dtype=np.uint8)).sum(
        axis=-1, dtype=np.uint8
    ),
    mlx="mx.sum(flags.astype(mx.uint8) << mx.arange(8, dtype=mx.uint8), axis=-1).astype(mx.uint8)",
    metal="""
uint word = 0;
for (uint b = 0; b < 8; ++b) {
  word |= flags[i * 8 + b] ? 1u << b : 0u;
}
out[i] = uchar(word);
""",
    flops="words * 8",
    cases=(
        cases("words", (2,), (64,), (100,)),
        cases("words", (0,), (1,), (31,), (257,), (4099,)),
        (
            labelled("words", "a mask of 1024 x 1024", 131072),
            labelled("words", "a mask of 4096 x 4096", 2097152),
        ),
    ),
    formula="Bit b of out[i] is flags[i, b], the first in the lowest bit.",
)
unpack_bits = indexed(
    "unpack_bits",
    "quantised",
    axes("words"),
    (Tensor("packed", ("words",), "uint8", Bits()),),
    (Tensor("out", ("words", "8"), "uint8", match=Exact()),),
    np=lambda packed: (packed[:, None] >> np.arange(8, dtype=np.uint8)) & 1,
    mlx="(packed[:, None] >> mx.arange(8, dtype=mx.uint8)) & 1",
    metal="out[i] = uchar(packed[i / 8] >> (i % 8) & 1);",
    flops="words * 16",
    cases=(
        cases("words", (2,), (64,), (100,)),
        cases("words", (0,), (1,), (31,), (257,), (4099,)),
        (labelled("words", "a mask of 1024 x 1024", 131072),),
    ),
    formula="out[i, b] is bit b of packed[i], the lowest first.",
)


def _swiglu(gate: Any, up: Any) -> Any:
    return gate * logistic(gate) * up
