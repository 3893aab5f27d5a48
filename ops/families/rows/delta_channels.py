"""The gated delta rule with a decay for every channel of the keys: Kimi's linear attention."""

from __future__ import annotations

from dataclasses import replace

from ops.declaring.cases import labelled
from ops.families.rows.recurrences import DELTA, DELTA_IN_FLOAT32, gated_delta
from ops.fills import Real
from ops.workload import Tensor

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
    baselines={
        "in float32": DELTA_IN_FLOAT32.replace("g[:, :, t, None, None]", "g[:, :, t, :, None]")
    },
    bench=(
        labelled(DELTA, "kimi-linear decode, 8 of 32 heads", 1, 8, 1, 128, 128),
        labelled(DELTA, "kimi-linear prefill 16, 8 heads", 1, 8, 16, 128, 128),
        labelled(DELTA, "kimi-linear decode, batch 8", 8, 32, 1, 128, 128),
    ),
)
