"""Whole layers of a mixture of experts in one kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.fills import Index
from ops.formulas import logistic
from ops.matches import Close
from ops.spec import Op, Stored, unrounded
from ops.workload import Tensor, Workload

AXES = "rows k n experts slots"


def _full(inputs: Any, workload: Workload, stored: Stored = unrounded) -> tuple[Any, ...]:
    """Expert by expert, since few of them are picked."""
    x, index, share = inputs["x"], inputs["index"], inputs["share"]
    slots = index.shape[1]
    order = np.argsort(index, axis=None, kind="stable")
    picked = index.ravel()[order]
    parts = []
    for e in np.unique(picked):
        given = x[order[picked == e] // slots]
        gate, up = stored(given @ inputs["gate"][e].T), stored(given @ inputs["up"][e].T)
        parts.append(stored(stored(gate * logistic(gate) * up) @ inputs["down"][e].T))
    whole = np.concatenate(parts) if parts else np.zeros((0, x.shape[1]))
    each = whole[np.argsort(order)].reshape(*index.shape, x.shape[1])
    return ((each * share[..., None]).sum(axis=1),)


moe_expert_full = Op(
    name="moe_expert_full",
    family="moe",
    formula="The experts of a token, from their input to the sum of what they give. For every slot "
    "s of row r with e = index[r, s]: h = silu(gate[e] x[r]) * (up[e] x[r]), silu(v) = v / (1 + "
    "exp(-v)); out[r] = sum over s of share[r, s] down[e] h. gate x, up x, h and down h may be "
    "rounded to T.",
    axes=axes("rows k n", Axis("experts", least=1), "slots"),
    inputs=(
        Tensor("x", ("rows", "k")),
        Tensor("gate", ("experts", "n", "k")),
        Tensor("up", ("experts", "n", "k")),
        Tensor("down", ("experts", "k", "n")),
        Tensor("index", ("rows", "slots"), "uint32", Index("experts")),
        Tensor("share", ("rows", "slots")),
    ),
    outputs=(Tensor("out", ("rows", "k"), match=Close("k + n + slots")),),
    oracle=_full,
    steps=_full,
    baselines={
        "in float32": """
wide = x.astype(mx.float32)
g = (gate.astype(mx.float32)[index] @ wide[:, None, :, None])[..., 0]
u = (up.astype(mx.float32)[index] @ wide[:, None, :, None])[..., 0]
h = g * mx.sigmoid(g) * u
each = (down.astype(mx.float32)[index] @ h[..., None])[..., 0]
return mx.sum(each * share.astype(mx.float32)[..., None], axis=1).astype(dtype)
""",
        "mx.gather_mm": """
def given(x, weights):
    return mx.gather_mm(x, weights.swapaxes(-1, -2), rhs_indices=index)
each_row = mx.expand_dims(x, (-2, -3))
g, u = given(each_row, gate), given(each_row, up)
each = given(g * mx.sigmoid(g) * u, down)[..., 0, :]
return mx.sum(each * share[..., None], axis=1)
""",
    },
    flops="6 * rows * slots * n * k",
    # Experts come more than once: of e drawn p times, more than e p / (e + p) differ on average.
    bytes="2 * rows * k * itemsize + 3 * n * k * itemsize * experts * rows * slots "
    "// (experts + rows * slots)",
    visible=cases(AXES, (1, 1, 1, 1, 1), (2, 16, 8, 4, 2), (1, 64, 32, 8, 8), (4, 33, 20, 3, 2)),
    hidden=cases(
        AXES,
        *((0, 4, 4, 2, 2), (3, 0, 4, 2, 2), (2, 5, 0, 2, 1), (2, 4, 4, 3, 0), (1, 31, 7, 5, 1)),
        *((7, 13, 31, 3, 2), (3, 65, 17, 16, 9), (33, 8, 5, 4, 2), (2, 129, 67, 2, 3)),
    ),
    bench=(
        labelled(AXES, "granite-4-tiny decode, a shard of 32 columns", 1, 1536, 32, 6, 2),
        labelled(AXES, "granite-4-tiny decode", 1, 1536, 512, 16, 6),
        labelled(AXES, "olmoe decode, 16 of 64 experts", 1, 2048, 1024, 16, 8),
        labelled(AXES, "granite-4-tiny decode, batch 4", 4, 1536, 512, 16, 6),
    ),
)
