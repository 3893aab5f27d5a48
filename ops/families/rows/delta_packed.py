"""The gated delta rule over documents laid end to end, each with a state of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.rows.recurrences import OF_CHUNKS, STEP, delta_rule, gated_delta
from ops.fills import Offsets
from ops.spec import Op
from ops.workload import Tensor, Workload

PACKED = "heads seq spans key value"
IN_SPANS = """
wide_q, wide_k, wide_v = q.astype(mx.float32), k.astype(mx.float32), v.astype(mx.float32)
g, b, s = decay.astype(mx.float32), beta.astype(mx.float32), state
found = []
for t in range(seq):
    here = ((begins[:-1] <= t) & (t < begins[1:]))[:, None, None, None]
    one = s * g[:, t, None, None]
    seen = mx.sum(one * wide_k[:, t, :, None], axis=-2)
    change = b[:, t, None] * (wide_v[:, t] - seen)
    s = mx.where(here, one + wide_k[:, t, :, None] * change[..., None, :], s)
    found = found + [mx.sum(mx.where(here, s, 0) * wide_q[:, t, :, None], axis=(0, -2))]
zeros = mx.zeros((heads, 0, value), dtype=mx.float32)
return (mx.stack(found, axis=1) if seq else zeros).astype(dtype), s
"""
STATE = ("spans", "heads", "key", "value")


def _packed(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    """Span by span, a batch of one each."""
    ends, found, states = inputs["begins"], [], []
    for span, (begin, end) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
        own = {n: inputs[n][None, :, begin:end] for n in ("q", "k", "v", "decay", "beta")}
        own["state"] = inputs["state"][span][None]
        out, state = delta_rule(own, workload)
        found.append(out[0])
        states.append(state[0])
    return np.concatenate(found, axis=1), np.stack(states)


def _laid_out(tensor: Tensor) -> Tensor:
    """A tensor of `gated_delta` without the batch; a state is one of each span instead."""
    shape = STATE if tensor.name.startswith("state") else tensor.shape[1:]
    return replace(tensor, shape=shape)


gated_delta_packed: Op = replace(
    gated_delta,
    name="gated_delta_packed",
    formula="`gated_delta` over documents laid end to end: span s holds the steps begins[s] <= t < "
    "begins[s + 1] and begins as state[s, h]; state_out[s, h] is what is left of it, state[s, h] "
    "itself where the span is empty (cu_seqlens).",
    axes=axes("heads seq", Axis("spans", least=1), *gated_delta.axes[-2:]),
    inputs=(
        *(_laid_out(tensor) for tensor in gated_delta.inputs),
        Tensor("begins", ("spans + 1",), "int32", Offsets("seq")),
    ),
    outputs=tuple(replace(_laid_out(t), match=OF_CHUNKS) for t in gated_delta.outputs),
    oracle=_packed,
    steps=lambda inputs, workload, stored: _packed(inputs, workload),
    baselines={"in float32": IN_SPANS},
    flops="heads * seq * key * value * 7",
    plain_flops=f"heads * seq * key * value * 14 + seq * {STEP}",
    visible=cases(PACKED, (1, 1, 1, 4, 4), (2, 7, 2, 32, 16), (2, 16, 3, 64, 64), (3, 9, 5, 32, 8)),
    hidden=cases(
        PACKED,
        *((2, 0, 1, 4, 4), (0, 3, 2, 4, 4), (1, 37, 4, 16, 1), (5, 4, 9, 31, 33)),
        *((2, 5, 1, 128, 67), (1, 67, 7, 8, 5), (2, 4, 7, 8, 2)),
    ),
    bench=(
        labelled(PACKED, "qwen3-next, 4 sequences of 4 tokens, 2 of 32 heads", 2, 16, 4, 128, 128),
        labelled(PACKED, "qwen3-next, 8 sequences of 8 tokens, 16 heads", 16, 64, 8, 128, 128),
    ),
)
