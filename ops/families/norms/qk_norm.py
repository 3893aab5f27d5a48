"""The norm of queries and keys, each head a row, in one launch."""

from __future__ import annotations

from typing import Any

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.norms.norms import EPS
from ops.families.norms.norms_fused import rms
from ops.matches import Close
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

AXES = "rows heads kv_heads head_dim"


def _qk_norm(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    eps = param_value(workload, "eps")
    return (
        rms(inputs["q"], eps) * inputs["q_weight"],
        rms(inputs["k"], eps) * inputs["k_weight"],
    )


qk_norm = Op(
    name="qk_norm",
    family="norms",
    formula="Every head of every token is a row of its own: q_out[r, h] = q[r, h] / sqrt(mean of "
    "q[r, h]^2 + eps) * q_weight, and so for k with k_weight, which has kv_heads heads.",
    axes=axes("rows heads kv_heads", Axis("head_dim", least=1)),
    inputs=(
        Tensor("q", ("rows", "heads", "head_dim")),
        Tensor("k", ("rows", "kv_heads", "head_dim")),
        Tensor("q_weight", ("head_dim",)),
        Tensor("k_weight", ("head_dim",)),
    ),
    outputs=(
        Tensor("q_out", ("rows", "heads", "head_dim"), match=Close("head_dim")),
        Tensor("k_out", ("rows", "kv_heads", "head_dim"), match=Close("head_dim")),
    ),
    params={"eps": 1e-6},
    ranges={"eps": EPS},
    oracle=_qk_norm,
    baselines={
        "mx.fast.rms_norm": "return mx.fast.rms_norm(q, q_weight, eps), "
        "mx.fast.rms_norm(k, k_weight, eps)",
    },
    flops="4 * rows * (heads + kv_heads) * head_dim",
    visible=(
        *cases(AXES, (1, 1, 1, 4), (2, 4, 2, 64), (3, 8, 2, 128), (5, 3, 1, 100)),
        *cases(AXES, (2, 2, 2, 80), eps=1e-2),
    ),
    hidden=(
        *cases(AXES, (0, 2, 1, 8), (3, 0, 2, 8), (2, 3, 0, 8), (1, 1, 1, 1), (67, 2, 1, 31)),
        *cases(AXES, (7, 9, 3, 33), (2, 5, 7, 257), (1, 2, 2, 1025)),
        *cases(AXES, (5, 16, 8, 96), eps=0.5),
    ),
    bench=(
        labelled(AXES, "qwen3-0.6b decode", 1, 16, 8, 128),
        labelled(AXES, "qwen3-30b-a3b decode, batch 8", 8, 32, 4, 128),
        labelled(AXES, "qwen3-0.6b prefill 128", 128, 16, 8, 128),
        labelled(AXES, "qwen3-8b prefill 512", 512, 32, 8, 128),
    ),
)
