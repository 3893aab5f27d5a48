"""Routers of a mixture of experts beside `topk_gating`, and the loss that keeps experts busy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.fills import Custom, Index
from ops.formulas import logistic, softmax_rows
from ops.matches import Close, Exact, Ties
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

GROUPED = "rows groups width kept k"
BY_INDEX = "rows experts k"
CHOICE = "rows experts k"
BALANCE = "rows experts slots"


_COARSE = np.array([-1.5, -0.5, 0.25, 1.0, 2.0])
"""Logits of which no two pairs of scores have nearly the same sum."""


def _logits(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """Normal numbers whatever is dealt, whose sums of two scores are hardly ever equal by chance.

    Every other row has few values: there experts and groups are equal.
    """
    normal = 2.0 * rng.standard_normal(shape)
    coarse = _COARSE[rng.integers(0, len(_COARSE), shape)]
    return np.where(np.arange(shape[0])[:, None] % 2 == 1, coarse, normal)


def _biases(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """None yet, as where training begins, or normal ones."""
    return (rng.random() < 1 / 2) * 0.6 * rng.standard_normal(shape)


def _first(x: Any, k: int) -> Any:
    return np.argsort(-x, axis=-1, kind="stable")[..., :k]


def _grouped(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    axes = workload.axes
    rows, groups, width = axes["rows"], axes["groups"], axes["width"]
    score = logistic(inputs["x"])
    biased = score + inputs["bias"]
    each = biased.reshape(rows, groups, width)
    best = -np.sort(-each, axis=-1)[..., :2].sum(axis=-1)
    place = np.argsort(np.argsort(-best, axis=-1, kind="stable"), axis=-1, kind="stable")
    kept = np.repeat(place < axes["kept"], width, axis=-1).reshape(rows, groups * width)
    index = _first(np.where(kept, biased, 0.0), axes["k"])
    picked = np.take_along_axis(score, index, axis=-1)
    scale = param_value(workload, "scale")
    return scale * picked / picked.sum(axis=-1, keepdims=True), index.astype(np.uint32)


router_sigmoid_groups = Op(
    name="router_sigmoid_groups",
    family="moe",
    formula="The router of DeepSeek-V3. s = sigmoid(x), t = s + bias, experts in `groups` groups "
    "of `width` neighbours. A group's score is the sum of its two largest t (the one t where width "
    "is 1); the `kept` groups of the largest score stay, of equal ones the lowest; t of all others "
    "counts as 0. index[r] holds the k experts of the largest t, largest first, of equal ones the "
    "lowest first. share[r, i] = scale * s[r, index[r, i]] over the sum of s of the k picked.",
    axes=axes(
        "rows",
        Axis("groups", least=1, compiled=True, values=(1, 2, 4, 8)),
        Axis("width", least=1),
        Axis("kept", least=1, compiled=True, values=(1, 2, 4)),
        Axis("k", least=1, compiled=True, values=(1, 2, 4, 6, 8)),
    ),
    inputs=(
        Tensor("x", ("rows", "groups * width"), fill=Custom(_logits)),
        Tensor("bias", ("groups * width",), "float32", fill=Custom(_biases)),
    ),
    outputs=(
        Tensor("share", ("rows", "k"), match=Close("k")),
        Tensor("index", ("rows", "k"), "uint32", match=Exact()),
    ),
    params={"scale": 1.0},
    ranges={"scale": Range(0.5, 4.0, usual=(1.0, 2.5))},
    constraints=("kept <= groups", "k <= kept * width"),
    oracle=_grouped,
    baselines={
        "in float32": """
score = mx.sigmoid(x.astype(mx.float32))
biased = score + bias
each = biased.reshape(rows, groups, width)
best = mx.sum(mx.topk(each, min(2, width), axis=-1), axis=-1)
place = mx.argsort(mx.argsort(-best, axis=-1), axis=-1)
live = mx.repeat(place < kept, width, axis=-1)
index = mx.argsort(-mx.where(live, biased, 0), axis=-1)[:, :k]
picked = mx.take_along_axis(score, index, axis=-1)
return (scale * picked / mx.sum(picked, axis=-1, keepdims=True)).astype(dtype), index
"""
    },
    flops="rows * groups * width * 8",
    visible=(
        *cases(GROUPED, (1, 1, 8, 1, 2), (4, 4, 4, 2, 6), (3, 2, 32, 1, 4)),
        *cases(GROUPED, (5, 4, 8, 2, 6), scale=2.5),
    ),
    hidden=(
        *cases(GROUPED, (0, 8, 4, 4, 8), (1, 8, 1, 4, 4), (67, 2, 3, 1, 2), (7, 4, 31, 2, 6)),
        *cases(GROUPED, (3, 1, 33, 1, 4), (2, 8, 33, 2, 8), scale=1.5),
        *cases(GROUPED, (129, 4, 5, 4, 1)),
    ),
    bench=(
        labelled(GROUPED, "deepseek-v3 decode", 1, 8, 32, 4, 8, scale=2.5),
        labelled(GROUPED, "deepseek-v3 decode, batch 32", 32, 8, 32, 4, 8, scale=2.5),
        labelled(GROUPED, "glm-4.5-air prefill 512", 512, 1, 128, 1, 8),
        labelled(GROUPED, "deepseek-v3 prefill 512", 512, 8, 32, 4, 8, scale=2.5),
    ),
)


def _by_index(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    x = inputs["x"]
    index = np.sort(_first(x, workload.axes["k"]), axis=-1)
    return softmax_rows(np.take_along_axis(x, index, axis=-1)), index.astype(np.uint32)


router_topk_by_index = Op(
    name="router_topk_by_index",
    family="moe",
    formula="index[r] holds the places of the k largest logits of x[r], of equal ones the lowest, "
    "in ascending order of place; share[r] is the softmax over the logits picked. What a router "
    "gives that partitions and does not sort.",
    axes=axes("rows", Axis("experts", least=1), Axis("k", least=1, compiled=True, tried_to=32)),
    inputs=(Tensor("x", ("rows", "experts")),),
    outputs=(
        Tensor("share", ("rows", "k"), match=Close("k")),
        Tensor("index", ("rows", "k"), "uint32", match=Exact()),
    ),
    constraints=("k <= experts",),
    oracle=_by_index,
    baselines={
        "mx.argsort": """
index = mx.sort(mx.argsort(-x, axis=-1)[:, :k], axis=-1)
picked = mx.take_along_axis(x.astype(mx.float32), index, axis=-1)
return mx.softmax(picked, axis=-1).astype(dtype), index
""",
        "mx.argpartition": """
index = mx.sort(mx.argpartition(-x, kth=k - 1, axis=-1)[:, :k], axis=-1)
return mx.softmax(mx.take_along_axis(x, index, axis=-1), axis=-1, precise=True), index
""",
    },
    flops="rows * experts * 2",
    visible=cases(BY_INDEX, (1, 1, 1), (4, 8, 2), (3, 64, 4), (2, 128, 8), (5, 16, 4)),
    hidden=cases(
        BY_INDEX,
        *((0, 8, 2), (1, 2, 1), (67, 5, 2), (7, 33, 4), (2, 257, 10), (33, 31, 1), (5, 7, 7)),
    ),
    bench=(
        labelled(BY_INDEX, "qwen3-30b-a3b decode", 1, 128, 8),
        labelled(BY_INDEX, "qwen3-30b-a3b decode, batch 32", 32, 128, 8),
        labelled(BY_INDEX, "qwen3-30b-a3b prefill 512", 512, 128, 8),
    ),
)


def _wanted(inputs: Any, workload: Workload) -> Any:
    return softmax_rows(inputs["x"]).T


def _choice(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    chance = softmax_rows(inputs["x"]).T
    index = _first(chance, workload.axes["k"])
    return np.take_along_axis(chance, index, axis=-1), index.astype(np.uint32)


expert_choice = Op(
    name="expert_choice",
    family="moe",
    formula="p = softmax of each row of x over the experts. Every expert e chooses the k tokens "
    "that want it most: index[e] holds the rows of the k largest p[:, e], largest first, and "
    "share[e, i] = p[index[e, i], e].",
    axes=axes(Axis("rows", least=1), "experts", Axis("k", least=1, compiled=True)),
    inputs=(Tensor("x", ("rows", "experts")),),
    outputs=(
        Tensor("share", ("experts", "k"), match=Close("experts")),
        Tensor(
            "index",
            ("experts", "k"),
            "uint32",
            match=Ties(by=_wanted, reduction="experts"),
        ),
    ),
    constraints=("k <= rows",),
    oracle=_choice,
    baselines={
        "mx.argsort": """
chance = mx.softmax(x.astype(mx.float32), axis=-1).T
index = mx.argsort(-chance, axis=-1)[:, :k]
return mx.take_along_axis(chance, index, axis=-1).astype(dtype), index
"""
    },
    flops="rows * experts * 6",
    visible=cases(CHOICE, (1, 1, 1), (8, 4, 2), (32, 8, 4), (64, 16, 6), (5, 3, 4)),
    hidden=cases(
        CHOICE, (3, 0, 2), (2, 1, 1), (67, 5, 2), (33, 7, 8), (129, 31, 5), (257, 2, 3), (7, 65, 7)
    ),
    bench=(
        labelled(CHOICE, "64 tokens, 16 experts", 64, 16, 8),
        labelled(CHOICE, "expert choice, 1024 tokens, 64 experts of 32", 1024, 64, 32),
    ),
)


def _balance(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    experts = workload.axes["experts"]
    wanted = softmax_rows(inputs["x"]).sum(axis=0) / len(inputs["x"])
    count = np.bincount(inputs["index"].ravel(), minlength=experts) / max(inputs["index"].size, 1)
    return (experts * (wanted * count).sum(axis=-1, keepdims=True),)


router_load_balance = Op(
    name="router_load_balance",
    family="moe",
    formula="out[0] = experts * sum over e of P[e] F[e], P[e] the mean over the rows of softmax("
    "x[r])[e], F[e] the share of all entries of index that name e: 1 where experts are equally "
    "busy, larger where not.",
    axes=axes(Axis("rows", least=1), Axis("experts", least=1), "slots"),
    inputs=(
        Tensor("x", ("rows", "experts")),
        Tensor("index", ("rows", "slots"), "uint32", Index("experts")),
    ),
    outputs=(Tensor("out", ("1",), match=Close("rows + experts")),),
    oracle=_balance,
    baselines={
        "in float32": """
wanted = mx.mean(mx.softmax(x.astype(mx.float32), axis=-1), axis=0)
hot = (index.reshape(-1)[:, None] == mx.arange(experts)[None]).astype(mx.float32)
return (experts * mx.sum(wanted * mx.mean(hot, axis=0), keepdims=True)).astype(dtype)
"""
    },
    flops="rows * experts * 7",
    visible=cases(BALANCE, (1, 1, 1), (4, 8, 2), (32, 16, 4), (7, 64, 3)),
    hidden=cases(
        BALANCE, (1, 2, 1), (3, 4, 0), (67, 31, 2), (129, 33, 3), (3, 257, 5), (521, 7, 1)
    ),
    bench=(
        labelled(BALANCE, "mixtral-8x7b, 512 tokens", 512, 8, 2),
        labelled(BALANCE, "qwen3-30b-a3b, 4096 tokens", 4096, 128, 8),
    ),
)
