"""Attention and rotary embedding with the sequence before the heads, as many frameworks lay it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.masking import CAUSAL
from ops.families.attention.masked import masked_attention
from ops.families.forms.indexed import indexed
from ops.families.positions.rotary import ROTATED, SINCOS, TURN, TURNED_MLX, TURNS, turned
from ops.matches import Close
from ops.spec import Op, Stored, unrounded
from ops.workload import Tensor, Workload

_FAST = """
def moved(x):
    return x.swapaxes(1, 2)
sees = (mx.arange(q_len) + (kv_len - q_len))[:, None] >= mx.arange(kv_len)
found = moved(mx.fast.scaled_dot_product_attention(
    moved(q), moved(k), moved(v), scale=scale, mask=sees))
live = mx.any(sees, axis=-1)[:, None, None]
return mx.where(live, found, mx.zeros_like(found))
"""


def sequence_first(
    name: str, member: Op, baselines: Mapping[str, Baseline | str], *, gradient_of: str = ""
) -> Op:
    """A member of the attention family whose tensors are `(batch, sequence, heads, head_dim)`.

    Args:
        name: Name of the op.
        member: One whose inputs and outputs of heads all have four axes.
        baselines: Its MLX texts by name.
        gradient_of: Name of the op that it is the gradient of.
    """

    def laid(tensor: Tensor) -> Tensor:
        if len(tensor.shape) != 4:
            return tensor
        batch, heads, seq, width = tensor.shape
        return replace(tensor, shape=(batch, seq, heads, width))

    def steps(
        inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored = unrounded
    ) -> tuple[NDArray[Any], ...]:
        moved = {n: x.swapaxes(1, 2) if x.ndim == 4 else x for n, x in inputs.items()}
        if member.steps is None:
            raise ValueError(f"{member.name} has steps")
        return tuple(x.swapaxes(1, 2) for x in member.steps(moved, workload, stored))

    return replace(
        member,
        name=name,
        formula="Every tensor of heads has the sequence before them: what stands as x[b, h, i, d] "
        f"here lies at x[b, i, h, d]. {member.formula}",
        inputs=tuple(laid(t) for t in member.inputs),
        outputs=tuple(laid(t) for t in member.outputs),
        oracle=lambda inputs, workload: steps(inputs, workload),
        steps=steps,
        baselines=baselines,
        metal={**member.metal, "sequence_first": True},
        gradient_of=gradient_of,
    )


def heads_first() -> Op:
    """The member that `attention_sequence_first` lays another way."""
    return masked_attention("attention_sequence_first", CAUSAL)


attention_sequence_first = sequence_first(
    "attention_sequence_first", heads_first(), {"mx.fast.scaled_dot_product_attention": _FAST}
)
rope_sequence_first = indexed(
    "rope_sequence_first",
    "positional",
    axes("batch heads seq", Axis("head_dim", multiple_of=2, least=2, compiled=True, tried_to=256)),
    (Tensor("x", ("batch", "seq", "heads", "head_dim")),),
    (Tensor("out", ("batch", "seq", "heads", "head_dim"), match=Close(2)),),
    np=lambda x, base, offset: turned(
        x.swapaxes(1, 2), np.arange(x.shape[1]) + offset, base, False
    ).swapaxes(1, 2),
    mlx={
        "in float32": f"{TURNED_MLX}return turned(x.swapaxes(1, 2), mx.arange(seq) + offset, "
        "False).swapaxes(1, 2)",
        "mx.fast.rope": "mx.fast.rope(x.swapaxes(1, 2), head_dim, traditional=False, base=base, "
        "scale=1.0, offset=offset).swapaxes(1, 2)",
    },
    metal="""
const uint pairs = head_dim / 2;
const uint pair = i % pairs;
const uint row = i / pairs;
const float angle = angle_of(pair, pairs, int(row / heads % seq) + offset, base);
const uint at = row * head_dim + pair;
const float first = float(x[at]);
const float second = float(x[at + pairs]);
out[at] = T(first * cos(angle) - second * sin(angle));
out[at + pairs] = T(first * sin(angle) + second * cos(angle));
""",
    helpers=SINCOS,
    count="batch * heads * seq * (head_dim // 2)",
    flops="3 * batch * heads * seq * head_dim",
    params=TURN,
    ranges=TURNS,
    cases=ROTATED,
    formula="`rope` with the sequence before the heads: with n = head_dim / 2 and a = (t + offset) "
    "base^(-i / n), out[b, t, h, i] = x[b, t, h, i] cos(a) - x[b, t, h, i + n] sin(a) and "
    "out[b, t, h, i + n] = x[b, t, h, i] sin(a) + x[b, t, h, i + n] cos(a).",
)
