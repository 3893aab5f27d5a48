"""The gated delta rule with a decay for every channel of the keys: Kimi's linear attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ops.cases import labelled
from ops.families.rows.recurrences import DELTA, gated_delta
from ops.fills import Real
from ops.spec import Tensor, Workload


def _delta(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    state, found = inputs["state"], []
    for t in range(q.shape[2]):
        state = state * inputs["decay"][:, :, t, :, None]
        seen = (state * k[:, :, t, :, None]).sum(axis=-2)
        change = inputs["beta"][:, :, t, None] * (v[:, :, t] - seen)
        state = state + k[:, :, t, :, None] * change[..., None, :]
        found.append((state * q[:, :, t, :, None]).sum(axis=-2))
    return np.stack(found, axis=2) if found else np.zeros(v.shape), state


gated_delta_channels = replace(
    gated_delta,
    name="gated_delta_channels",
    formula="As `gated_delta`, each row i of S with a decay of its own: S[i] = decay[b, h, t, i] "
    "S[i]; then u = beta[b, h, t] (v[b, h, t] - S^T k[b, h, t]); S = S + k u^T; out[b, h, t] = "
    "S^T q[b, h, t]. state_out is the last S. S is carried in float32.",
    inputs=tuple(
        Tensor("decay", ("batch", "heads", "seq", "key"), fill=Real(0.0, 1.0))
        if tensor.name == "decay"
        else tensor
        for tensor in gated_delta.inputs
    ),
    oracle=_delta,
    steps=lambda inputs, workload, stored: _delta(inputs, workload),
    baselines={
        "in float32": """
wide_q, wide_k, wide_v = q.astype(mx.float32), k.astype(mx.float32), v.astype(mx.float32)
g, b, s = decay.astype(mx.float32), beta.astype(mx.float32), state
found = []
for t in range(seq):
    s = s * g[:, :, t, :, None]
    seen = mx.sum(s * wide_k[:, :, t, :, None], axis=-2)
    change = b[:, :, t, None] * (wide_v[:, :, t] - seen)
    s = s + wide_k[:, :, t, :, None] * change[..., None, :]
    found = found + [mx.sum(s * wide_q[:, :, t, :, None], axis=-2)]
zeros = mx.zeros((batch, heads, 0, value), dtype=mx.float32)
return (mx.stack(found, axis=2) if seq else zeros).astype(dtype), s
""",
    },
    bench=(
        labelled(DELTA, "kimi-linear decode, 8 of 32 heads", 1, 8, 1, 128, 128),
        labelled(DELTA, "kimi-linear prefill 16, 8 heads", 1, 8, 16, 128, 128),
        labelled(DELTA, "kimi-linear decode, batch 8", 8, 32, 1, 128, 128),
    ),
)
