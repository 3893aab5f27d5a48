"""Affine quantisation: codes of a few bits packed into words, a scale and a bias a group.

The layout is that of MLX: code c of a row lies in word c // (32 / bits), the first in the lowest
bits, and stands for scale * code + bias of its group of neighbouring columns.
"""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.declaring.members import Formula, written_with
from ops.families.forms.linear import codes
from ops.fills import Bits
from ops.spec import Op
from ops.workload import Tensor

AXES = "rows cols group"


def dequantised(
    name: str,
    *,
    bits: int,
    np: Formula,
    mlx: str,
    metal: str,
    flops: int,
    helpers: str = "",
    formula: str = "",
) -> Op:
    """An op that unpacks codes of a row and gives one element for each.

    Args:
        name: Name of the op.
        bits: Bits of a code: 2, 4 or 8.
        np: float64 formula, such as `lambda code, scale, bias: scale * code + bias`.
        mlx: MLX text over `packed`, `scales`, `biases` and `group`.
        metal: Metal expression over the floats `code`, `scale` and `bias`.
        flops: FLOPs of one element.
        helpers: Metal functions that `metal` calls.
        formula: The mathematics for a proposer; empty: the Metal expression.
    """

    def oracle(inputs: Any, workload: Any) -> tuple[NDArray[Any], ...]:
        shape = (workload.axes["rows"], workload.axes["cols"])
        group = workload.axes["group"]
        scale, bias = (numpy.repeat(inputs[n], group, axis=-1) for n in ("scales", "biases"))
        code = codes(inputs["packed"], bits).astype(numpy.float64).reshape(shape)
        return (np(code, scale, bias),)

    per_word = 32 // bits
    said = formula or f"out[r, c] = {metal}."
    return Op(
        name=name,
        family="quantised",
        formula=f"Code c of a row is the {bits} bits from bit {bits} * (c % {per_word}) of word "
        f"c // {per_word} of `packed`; scale and bias are those of group c // group. {said}",
        axes=axes("rows", Axis("cols", 32), Axis("group", values=(32, 64, 128), compiled=True)),
        inputs=(
            Tensor("packed", ("rows", f"cols // {per_word}"), "uint32", Bits()),
            Tensor("scales", ("rows", "cols // group")),
            Tensor("biases", ("rows", "cols // group")),
        ),
        outputs=(Tensor("out", ("rows", "cols")),),
        constraints=("cols % group == 0",),
        oracle=written_with(np, oracle),
        baselines={"plain": mlx},
        flops=f"rows * cols * {flops}",
        visible=cases(AXES, (1, 32, 32), (4, 128, 64), (3, 256, 64), (16, 512, 64), (1, 1024, 32)),
        hidden=cases(
            AXES,
            *((0, 64, 32), (3, 0, 64), (7, 96, 32), (5, 320, 64), (31, 128, 128), (1, 4096, 64)),
            *((129, 64, 64), (33, 192, 32), (2, 1152, 128), (17, 2048, 128)),
        ),
        bench=(
            labelled(AXES, "smollm2-135m key projection", 192, 576, 64),
            labelled(AXES, "smollm2-135m up projection", 1536, 576, 64),
            labelled(AXES, "qwen3-0.6b up projection", 3072, 1024, 64),
            labelled(AXES, "llama-3.2-1b up projection", 8192, 2048, 64),
        ),
        metal={"value": metal, "bits": bits, "helpers": helpers},
    )


dequantize_4bit = dequantised(
    "dequantize_4bit",
    bits=4,
    np=lambda code, scale, bias: scale * code + bias,
    mlx="mx.dequantize(packed, scales, biases, group_size=group, bits=4)",
    metal="scale * code + bias",
    flops=2,
)
dequantize_8bit = dequantised(
    "dequantize_8bit",
    bits=8,
    np=lambda code, scale, bias: scale * code + bias,
    mlx="mx.dequantize(packed, scales, biases, group_size=group, bits=8)",
    metal="scale * code + bias",
    flops=2,
)
