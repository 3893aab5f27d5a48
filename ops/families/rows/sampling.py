"""What is done to logits before a token is drawn, and whether a drafted token stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.forms.pointwise import elements
from ops.families.forms.rowwise import rowwise
from ops.families.rows.losses import LOGITS
from ops.fills import Index, Int, Real, Simplex
from ops.formulas import softmax_rows
from ops.matches import Close, Exact
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

SHAPES = (
    cases("rows cols", (1, 1), (4, 64), (8, 128), (3, 100), (2, 1024)),
    cases("rows cols", (0, 64), (1, 2), (67, 3), (5, 31), (7, 33), (3, 257), (1, 4099)),
    (
        labelled("rows cols", "smollm2-135m sampling", 1, 49152),
        labelled("rows cols", "llama-3.2-1b sampling", 1, 128256),
        labelled("rows cols", "qwen3-0.6b sampling, batch 8", 8, 151936),
    ),
)
REMOVED = {"removed": -1e4}
REMOVALS = {"removed": Range(-3e4, -1e3, usual=(-1e4,))}
_PLAIN = " A logit that is taken out becomes `removed`, which is finite in every dtype."


def _penalised(
    x: Any, counts: Any, temperature: float, repeated: float, present: float, often: float
) -> Any:
    seen = counts > 0
    x = np.where(seen, np.where(x > 0, x / repeated, x * repeated), x)
    return (x - np.where(seen, present, 0.0) - often * counts) / temperature


logits_penalties = indexed(
    "logits_penalties",
    "sampling",
    axes("rows cols"),
    (elements("x"), Tensor("counts", ("rows", "cols"), "uint32", Int(0, 300))),
    (Tensor("out", ("rows", "cols"), match=Close(3)),),
    np=_penalised,
    steps=_penalised,
    mlx="""
wide, seen = x.astype(mx.float32), counts > 0
wide = mx.where(seen, mx.where(wide > 0, wide / repeated, wide * repeated), wide)
wide = wide - mx.where(seen, present, 0.0) - often * counts.astype(mx.float32)
return (wide / temperature).astype(dtype)
""",
    metal="""
float v = float(x[i]);
const float seen = float(counts[i]);
v = seen > 0.0f ? (v > 0.0f ? v / repeated : v * repeated) : v;
out[i] = T((v - (seen > 0.0f ? present : 0.0f) - often * seen) / temperature);
""",
    flops="rows * cols * 6",
    params={"temperature": 1.0, "repeated": 1.0, "present": 0.0, "often": 0.0},
    ranges={
        "temperature": Range(0.1, 4.0, usual=(0.7, 1.0)),
        "repeated": Range(0.5, 2.0, usual=(1.0, 1.1)),
        "present": Range(-2.0, 2.0, usual=(0.0, 0.5)),
        "often": Range(-2.0, 2.0, usual=(0.0, 0.25)),
    },
    cases=(
        (
            *SHAPES[0][:3],
            *cases("rows cols", (5, 48), temperature=0.7, repeated=1.3),
            *cases("rows cols", (3, 33), present=0.5, often=0.25),
        ),
        (
            *SHAPES[1],
            *cases("rows cols", (6, 70), temperature=2.0, repeated=0.8, present=-1.0, often=1.5),
        ),
        SHAPES[2],
    ),
    formula="counts says how often a token came. A logit of one that did is divided by `repeated` "
    "where positive and multiplied with it elsewhere, then less `present`; `often` times its count "
    "is taken off; all is divided by `temperature`.",
)
logits_min_p = rowwise(
    "logits_min_p",
    "sampling",
    (elements("x"),),
    (Tensor("out", ("rows", "cols"), match=Close(2)),),
    np=lambda x, least, removed: np.where(
        x - x.max(axis=-1, keepdims=True) >= np.log(least), x, removed
    ),
    steps=lambda stored, x, least, removed: np.where(
        x - x.max(axis=-1, keepdims=True) >= np.log(0.0 * x[..., :1] + least), x, removed
    ),
    mlx="""
wide = x.astype(mx.float32)
kept = wide - mx.max(wide, axis=-1, keepdims=True) >= math.log(least)
return mx.where(kept, wide, removed).astype(dtype)
""",
    passes={"peak": "max of x"},
    metal={"out": "x - peak >= log(least) ? x : removed"},
    flops=3,
    params={"least": 0.05, **REMOVED},
    ranges={"least": Range(1e-4, 0.9, usual=(0.05, 0.1)), **REMOVALS},
    formula="out = x where exp(x - the row's maximum) >= least." + _PLAIN,
    op_axes=LOGITS,
    cases=(
        (*SHAPES[0], *cases("rows cols", (5, 48), least=0.3, removed=-5000.0)),
        (*SHAPES[1], *cases("rows cols", (6, 70), least=0.7, removed=-2e4)),
        SHAPES[2],
    ),
)


def _top_k(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    x, k = inputs["x"], workload.axes["k"]
    least = -np.sort(-x, axis=-1)[:, k - 1 : k]
    return (np.where(x >= least, x, param_value(workload, "removed")),)


def _top_p(inputs: Any, workload: Workload) -> tuple[Any, ...]:
    x, share = inputs["x"], param_value(workload, "share")
    order = np.argsort(-x, axis=-1, kind="stable")
    chance = np.take_along_axis(softmax_rows(x), order, axis=-1)
    sorted_x = np.take_along_axis(x, order, axis=-1)
    before = np.cumsum(chance, axis=-1) - chance
    # Equal logits share the place of the first of them.
    starts = np.concatenate(
        [np.ones((len(x), 1), bool), sorted_x[:, 1:] != sorted_x[:, :-1]], axis=-1
    )
    first = np.maximum.accumulate(np.where(starts, np.arange(x.shape[1]), 0), axis=-1)
    above = np.take_along_axis(before, first, axis=-1)
    kept = np.take_along_axis(above < share, np.argsort(order, axis=-1, kind="stable"), axis=-1)
    return (np.where(kept, x, param_value(workload, "removed")),)


logits_top_k = Op(
    name="logits_top_k",
    family="sampling",
    formula="out = x where x is not less than the k-th largest of its row; all that equal it stay."
    + _PLAIN,
    axes=axes("rows", Axis("cols", least=1), Axis("k", least=1, compiled=True)),
    inputs=(elements("x"),),
    outputs=(Tensor("out", ("rows", "cols"), match=Close(1)),),
    params=REMOVED,
    ranges=REMOVALS,
    constraints=("k <= cols",),
    oracle=_top_k,
    baselines={
        "mx.sort": "least = -mx.sort(-x, axis=-1)[:, k - 1 : k]\n"
        "return mx.where(x >= least, x, mx.array(removed, dtype=dtype))",
        "mx.topk": "least = mx.min(mx.topk(x, k, axis=-1), axis=-1, keepdims=True)\n"
        "return mx.where(x >= least, x, mx.array(removed, dtype=dtype))",
    },
    flops="rows * cols * 2",
    visible=(
        *cases("rows cols k", (1, 1, 1), (4, 64, 4), (8, 128, 8), (3, 100, 1)),
        *cases("rows cols k", (2, 500, 40), removed=-2000.0),
    ),
    hidden=(
        *cases("rows cols k", (0, 8, 2), (1, 2, 1), (67, 3, 2), (2, 7, 7), (5, 31, 30)),
        *cases("rows cols k", (7, 129, 7), (1, 4099, 33)),
        *cases("rows cols k", (3, 257, 100), removed=-3000.0),
    ),
    bench=(
        labelled("rows cols k", "smollm2-135m sampling", 1, 49152, 40),
        labelled("rows cols k", "llama-3.2-1b sampling", 1, 128256, 40),
        labelled("rows cols k", "qwen3-0.6b sampling, batch 8", 8, 151936, 20),
    ),
)
logits_top_p = Op(
    name="logits_top_p",
    family="sampling",
    formula="p = softmax of the row; out = x where the sum of p over all logits that are larger "
    "than x is less than `share`: the fewest tokens that hold it, equal logits together." + _PLAIN,
    axes=LOGITS,
    inputs=(elements("x"),),
    outputs=(Tensor("out", ("rows", "cols"), match=Close("cols")),),
    params={"share": 0.9, **REMOVED},
    ranges={"share": Range(0.05, 0.99, usual=(0.9, 0.95)), **REMOVALS},
    oracle=_top_p,
    steps=lambda inputs, workload, stored: _top_p(inputs, workload),
    baselines={
        "mx.argsort": """
wide = x.astype(mx.float32)
order = mx.argsort(-wide, axis=-1)
chance = mx.take_along_axis(mx.softmax(wide, axis=-1), order, axis=-1)
before = mx.cumsum(chance, axis=-1) - chance
sorted_x = mx.take_along_axis(wide, order, axis=-1)
same = mx.concatenate([mx.zeros((rows, 1)), sorted_x[:, 1:] == sorted_x[:, :-1]], axis=-1)
first = mx.cummax(mx.where(same > 0, 0, mx.arange(cols)), axis=-1)
above = mx.take_along_axis(before, first, axis=-1)
kept = mx.take_along_axis(above < share, mx.argsort(order, axis=-1), axis=-1)
return mx.where(kept, wide, removed).astype(dtype)
""",
    },
    flops="rows * cols * 8",
    visible=(*SHAPES[0], *cases("rows cols", (5, 48), share=0.5, removed=-5000.0)),
    hidden=(*SHAPES[1], *cases("rows cols", (6, 70), share=0.3, removed=-2000.0)),
    bench=SHAPES[2],
)
speculative_accept = indexed(
    "speculative_accept",
    "sampling",
    axes("rows", Axis("cols", least=1)),
    (
        Tensor("target", ("rows", "cols"), fill=Simplex()),
        Tensor("draft", ("rows", "cols"), fill=Simplex()),
        Tensor("token", ("rows",), "uint32", Index("cols")),
        Tensor("chance", ("rows",), fill=Real(0.0, 1.0)),
    ),
    (Tensor("out", ("rows",), "bool_", match=Exact()),),
    np=lambda target, draft, token, chance: (
        lambda at: (
            chance * np.take_along_axis(draft, at, 1)[:, 0]
            < np.take_along_axis(target, at, 1)[:, 0]
        )
    )(token[:, None].astype(np.int64)),
    mlx="""
at = token[:, None]
wanted = mx.take_along_axis(target.astype(mx.float32), at, axis=1)[:, 0]
given = mx.take_along_axis(draft.astype(mx.float32), at, axis=1)[:, 0]
return chance.astype(mx.float32) * given < wanted
""",
    metal="""
const uint at = i * cols + token[i];
out[i] = float(chance[i]) * float(draft[at]) < float(target[at]);
""",
    flops="rows * 2",
    bytes="rows * (3 * itemsize + 5)",
    cases=SHAPES,
    formula="A drafted token stays with the chance min(1, target / draft): out[r] = chance[r] "
    "draft[r, token[r]] < target[r, token[r]].",
)
