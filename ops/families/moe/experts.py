"""Mixtures of experts: who goes where, and how what comes back is put together."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.forms.linear import GROUP, Weight, picked_bytes
from ops.fills import Index
from ops.matches import Close, Exact
from ops.parameters import Range
from ops.spec import Op, Stored, unrounded
from ops.workload import Tensor, Workload

COMBINE = "rows slots cols"
COMBINED = (
    cases(COMBINE, (1, 1, 1), (4, 2, 64), (3, 8, 100), (16, 4, 128)),
    cases(
        COMBINE, (0, 2, 8), (3, 2, 0), (2, 0, 5), (1, 1, 31), (7, 3, 33), (67, 5, 3), (2, 9, 1025)
    ),
    (
        labelled(COMBINE, "qwen3-30b-a3b decode, batch 4", 4, 8, 2048),
        labelled(COMBINE, "mixtral-8x7b prefill 128", 128, 2, 4096),
        labelled(COMBINE, "qwen3-30b-a3b prefill 128", 128, 8, 2048),
    ),
)
moe_combine = indexed(
    "moe_combine",
    "moe",
    axes("rows slots cols"),
    (Tensor("x", ("rows", "slots", "cols")), Tensor("share", ("rows", "slots"))),
    (Tensor("out", ("rows", "cols"), match=Close("slots")),),
    np=lambda x, share: (x * share[..., None]).sum(axis=1),
    mlx={
        "in float32": "mx.sum(x.astype(mx.float32) * share.astype(mx.float32)[..., None], axis=1)"
        ".astype(dtype)",
        "plain": "mx.sum(x * share[..., None], axis=1)",
    },
    metal="""
const uint row = i / cols;
float sum = 0.0f;
for (uint s = 0; s < slots; ++s) {
  sum += float(x[(row * slots + s) * cols + i % cols]) * float(share[row * slots + s]);
}
out[i] = T(sum);
""",
    flops="2 * rows * slots * cols",
    cases=COMBINED,
    formula="out[r, c] = sum over s of share[r, s] x[r, s, c]: what the experts of a token gave, "
    "summed in float32 and rounded once.",
)
SCATTER = "rows count cols"


def _scatter_add(base: Any, given: Any, index: Any, share: Any) -> Any:
    hot = (np.arange(base.shape[0])[:, None] == index[None]).astype(np.float64)
    return base + hot @ (given * share[:, None])


SCATTERED = (
    cases(SCATTER, (1, 1, 1), (4, 8, 64), (8, 3, 100), (3, 40, 33)),
    cases(
        SCATTER,
        *((0, 0, 4), (3, 5, 0), (4, 0, 7), (2, 67, 1), (31, 5, 7), (7, 129, 5), (65, 33, 17)),
        (2, 13, 257),
    ),
    (
        labelled(SCATTER, "qwen3-30b-a3b, 16 tokens of 8 experts", 16, 128, 2048),
        labelled(SCATTER, "qwen3-30b-a3b, 64 tokens of 8 experts", 64, 512, 2048),
    ),
)
scatter_add = indexed(
    "scatter_add",
    "movement",
    axes("rows count cols"),
    (
        Tensor("base", ("rows", "cols")),
        Tensor("given", ("count", "cols")),
        Tensor("index", ("count",), "uint32", Index("rows")),
        Tensor("share", ("count",)),
    ),
    (Tensor("out", ("rows", "cols"), match=Close("count + 1")),),
    np=_scatter_add,
    mlx="""
wide = given.astype(mx.float32) * share.astype(mx.float32)[:, None]
return base.astype(mx.float32).at[index].add(wide).astype(dtype) if count else base
""",
    metal="""
const uint row = i / cols;
float sum = float(base[i]);
for (uint j = 0; j < count; ++j) {
  if (index[j] == row) {
    sum += float(given[j * cols + i % cols]) * float(share[j]);
  }
}
out[i] = T(sum);
""",
    flops="2 * count * cols",
    bytes="(2 * rows + count) * cols * itemsize + (4 + itemsize) * count",
    cases=SCATTERED,
    formula="out = base, and out[index[j]] += share[j] given[j] for every j, an index as often as "
    "it comes; summed in float32 and rounded once. The way back of a mixture of experts.",
)
GATE = "rows experts k"
GATED = axes("rows", Axis("experts", least=1), Axis("k", least=1, compiled=True, tried_to=32))


def _first(x: Any, k: int) -> Any:
    return np.argsort(-x, axis=-1, kind="stable")[:, :k]


def _gating(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    x, k = inputs["x"], workload.axes["k"]
    index = _first(x, k)
    picked = np.take_along_axis(x, index, axis=-1)
    weight = np.exp(picked - picked[:, :1])
    others = np.exp(x - picked[:, :1]).sum(axis=-1, keepdims=True)
    norm = weight.sum(axis=-1, keepdims=True) if workload.params["renormalised"] else others
    return weight / norm, index.astype(np.uint32)


topk_gating = Op(
    name="topk_gating",
    family="moe",
    formula="index[r] holds the k largest logits of x[r], largest first, of equal ones the lowest "
    "first. share[r, i] = exp(x[r, index[r, i]]) over the sum of exp over the k that were picked if"
    " `renormalised`, else over all experts.",
    axes=GATED,
    inputs=(Tensor("x", ("rows", "experts")),),
    outputs=(
        Tensor("share", ("rows", "k"), match=Close("experts")),
        Tensor("index", ("rows", "k"), "uint32", match=Exact()),
    ),
    params={"renormalised": True},
    constraints=("k <= experts",),
    oracle=_gating,
    baselines={
        "mx.argsort": """
wide = x.astype(mx.float32)
index = mx.stop_gradient(mx.argsort(-x, axis=-1)[:, :k])
picked = mx.take_along_axis(wide, index, axis=-1)
soft = mx.softmax(picked, axis=-1)
whole = mx.exp(picked - mx.logsumexp(wide, axis=-1, keepdims=True))
return (soft if renormalised else whole).astype(dtype), index
""",
    },
    # The exp of those that were picked; of all where it is not `renormalised`.
    flops="rows * (experts + 5 * k)",
    visible=(
        *cases(GATE, (1, 1, 1), (4, 8, 2), (3, 64, 4), (2, 128, 8)),
        *cases(GATE, (5, 16, 4), (3, 32, 2), renormalised=False),
    ),
    hidden=(
        *cases(GATE, (0, 8, 2), (1, 2, 1), (67, 5, 2), (7, 33, 4), (2, 257, 10), (33, 31, 1)),
        *cases(GATE, (3, 65, 8), (5, 7, 4), renormalised=False),
    ),
    bench=(
        labelled(GATE, "qwen3-30b-a3b decode", 1, 128, 8),
        labelled(GATE, "mixtral-8x7b prefill 128", 128, 8, 2),
        labelled(GATE, "qwen3-30b-a3b prefill 128", 128, 128, 8),
        labelled(GATE, "qwen3-30b-a3b prefill 512", 512, 128, 8),
    ),
)


def _pack(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    flat = inputs["index"].ravel()
    counts = np.bincount(flat, minlength=workload.axes["experts"])
    return counts.astype(np.uint32), np.argsort(flat, kind="stable").astype(np.uint32)


PACK = "rows slots experts"
moe_pack = Op(
    name="moe_pack",
    family="moe",
    formula="With the entries of index numbered row by row: counts[e] is how many name expert e, "
    "and order lists the numbers of the entries by expert, in ascending order within one: a stable "
    "counting sort.",
    axes=axes("rows slots", Axis("experts", least=1)),
    inputs=(Tensor("index", ("rows", "slots"), "uint32", Index("experts")),),
    outputs=(
        Tensor("counts", ("experts",), "uint32", match=Exact()),
        Tensor("order", ("rows * slots",), "uint32", match=Exact()),
    ),
    oracle=_pack,
    baselines={
        "mx.argsort": """
flat = index.reshape(-1)
counts = mx.sum(flat[:, None] == mx.arange(experts)[None], axis=0)
return counts.astype(mx.uint32), mx.argsort(flat)
""",
    },
    flops="rows * slots * 2",
    visible=cases(PACK, (1, 1, 1), (4, 2, 8), (16, 8, 5), (64, 2, 64)),
    hidden=cases(
        PACK, (1, 1, 7), (3, 5, 2), (0, 2, 4), (67, 3, 31), (129, 2, 16), (31, 9, 128), (521, 1, 3)
    ),
    bench=(
        labelled(PACK, "qwen3-30b-a3b, 128 tokens", 128, 8, 128),
        labelled(PACK, "mixtral-8x7b, 512 tokens", 512, 2, 8),
        labelled(PACK, "qwen3-30b-a3b, 512 tokens", 512, 8, 128),
    ),
)


def _places(index: Any, experts: int, capacity: int) -> Any:
    flat = index.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(experts))
    rank = np.empty(flat.size, np.int64)
    rank[order] = np.arange(flat.size) - starts[flat[order]]
    return np.where(rank < capacity, flat * np.int64(capacity) + rank, -1).astype(np.int32)


moe_place = indexed(
    "moe_place",
    "moe",
    moe_pack.axes,
    moe_pack.inputs,
    (Tensor("place", ("rows * slots",), "int32", match=Exact()),),
    np=_places,
    mlx="""
flat = index.reshape(-1).astype(mx.int32)
at = mx.arange(rows * slots)
rank = mx.sum((flat[:, None] == flat[None]) & (at[None] < at[:, None]), axis=1)
return mx.where(rank < capacity, flat * capacity + rank, -1).astype(mx.int32)
""",
    metal="""
const uint mine = index[i];
int rank = 0;
for (uint j = 0; j < i; ++j) {
  rank += index[j] == mine ? 1 : 0;
}
place[i] = rank < capacity ? int(mine) * capacity + rank : -1;
""",
    flops="rows * slots",
    plain_flops="rows * rows * slots * slots",
    params={"capacity": 4},
    ranges={"capacity": Range(1, 512, usual=(1, 4, 16, 64))},
    cases=(
        (*moe_pack.visible, *cases(PACK, (16, 4, 3), capacity=7)),
        (
            *moe_pack.hidden,
            *cases(PACK, (33, 2, 5), capacity=1),
            *cases(PACK, (65, 3, 2), capacity=64),
        ),
        moe_pack.bench[:2],
    ),
    formula="Buffers of `capacity` rows, one of each expert behind the other: with the entries of "
    "index numbered row by row and r of an entry how many before it name its expert, place = "
    "expert * capacity + r where r < capacity, and -1 where the entry is dropped.",
)
DOWN = Weight("w", 4)
DOWN_AXES = "m n k experts slots group"


def _down(inputs: Any, workload: Workload, stored: Stored = unrounded) -> tuple[Any, ...]:
    x, index = inputs["x"], inputs["index"]
    flat = {**inputs, "index": index.reshape(-1)}
    given = x.reshape(index.size, workload.axes["k"])
    found = DOWN.dots(given, flat, workload.axes["group"], stored is not unrounded)
    each = stored(found.reshape(*index.shape, workload.axes["n"]))
    return ((each * inputs["share"][..., None]).sum(axis=1),)


gather_qmm_combine = Op(
    name="gather_qmm_combine",
    family="moe",
    formula="out[i] = sum over s of share[i, s] W[index[i, s]] x[i, s], a 4-bit matrix of each "
    "expert as in `qmm_4bit`: the second half of the experts of a token, and their sum, in one "
    "launch. W x may be rounded to T before it is summed.",
    axes=axes("m n", Axis("k", 32), Axis("experts", least=1), "slots", GROUP),
    inputs=(
        Tensor("x", ("m", "slots", "k")),
        *DOWN.tensors(("experts",)),
        Tensor("index", ("m", "slots"), "uint32", Index("experts")),
        Tensor("share", ("m", "slots")),
    ),
    outputs=(Tensor("out", ("m", "n"), match=Close("k * slots")),),
    constraints=("k % group == 0",),
    oracle=_down,
    steps=_down,
    baselines={
        "in float32": """
held = mx.dequantize(w, w_scales.astype(mx.float32), w_biases.astype(mx.float32),
                     group_size=group, bits=4)
each = (held[index] @ x.astype(mx.float32)[..., None])[..., 0]
return mx.sum(each * share.astype(mx.float32)[..., None], axis=1).astype(dtype)
""",
        "mx.gather_qmm": """
each = mx.gather_qmm(x[:, :, None], w, w_scales, w_biases, rhs_indices=index, transpose=True,
                     group_size=group, bits=4)[:, :, 0]
return mx.sum(each * share[..., None], axis=1)
""",
    },
    flops="2 * m * slots * n * k + 2 * m * slots * n",
    bytes="(m * slots * k + m * n) * itemsize + "
    + picked_bytes("(m * slots)", "n * k // 2 + 2 * n * (k // group) * itemsize"),
    visible=cases(
        DOWN_AXES,
        *(
            (1, 4, 32, 2, 1, 32),
            (2, 16, 128, 4, 2, 64),
            (1, 33, 256, 8, 8, 64),
            (2, 5, 64, 3, 2, 32),
        ),
    ),
    hidden=cases(
        DOWN_AXES,
        *((0, 4, 64, 2, 2, 64), (3, 0, 64, 2, 2, 32), (1, 31, 96, 1, 1, 32), (5, 7, 320, 3, 2, 64)),
        *((3, 17, 128, 16, 9, 128), (2, 65, 64, 5, 3, 64)),
    ),
    bench=(
        labelled(DOWN_AXES, "qwen3-30b-a3b decode, a shard of 8", 1, 256, 768, 16, 8, 64),
        labelled(DOWN_AXES, "granite-4-tiny decode", 1, 1536, 512, 62, 6, 64),
        labelled(DOWN_AXES, "qwen3-30b-a3b decode, 16 of 128 experts", 1, 2048, 768, 16, 8, 64),
    ),
)
