"""Gradients of attention, under the masks and scores of its members.

With p the weights of a query and u[j] = dout . v[j]: dv[j] = sum over the queries of p[j] dout;
ds[j] = p[j] (u[j] - delta) times the slope of the score, delta = sum over j of p[j] u[j];
dq = scale sum over j of ds[j] k[j]; dk[j] = scale sum over the queries of ds[j] q.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.cases import cases, labelled
from ops.declaring.masking import (
    AS_IT_IS,
    Mask,
    Score,
    further_inputs,
    metal_of,
)
from ops.declaring.members import asked
from ops.errors import UsageError
from ops.families.attention import learnt
from ops.families.attention.attention import AXES, attention
from ops.families.attention.masked import SEEN, known_of, one_batch
from ops.families.forms.rowwise import Layout, rowwise
from ops.fills import LogSums
from ops.matches import Close
from ops.spec import Op, Steps, Stored, unrounded
from ops.texts.metal import as_mlx
from ops.workload import Case, Tensor, Workload, param_value

EXPLICIT = """
def changed(s, q, k, h):
    return {score}
def slope(s, q, k, h):
    return {slope}
repeats = heads // kv_heads
keys = mx.repeat(k.astype(mx.float32), repeats, axis=1)
values = mx.repeat(v.astype(mx.float32), repeats, axis=1)
wide, given = q.astype(mx.float32), dout.astype(mx.float32)
scores = scale * (wide @ keys.swapaxes(-1, -2))
at = mx.arange(q_len)[:, None] + (kv_len - q_len)
there, head = mx.arange(kv_len)[None, :], mx.arange(heads)[:, None, None]
after = mx.where(mask, changed(scores, at, there, head), -1e30)
{before}p = mx.where(mask, {weights}, 0)
u = given @ values.swapaxes(-1, -2)
lean = p * (u - {delta})
ds = lean * slope(scores, at, there, head)
grouped = (batch, kv_heads, repeats, kv_len, head_dim)
dq = scale * (ds @ keys)
dk = scale * mx.sum((ds.swapaxes(-1, -2) @ wide).reshape(grouped), axis=2)
dv = mx.sum((p.swapaxes(-1, -2) @ given).reshape(grouped), axis=2)
"""
SUMS_WITH_SINK = """
sink = sinks.astype(mx.float32)[:, None, None]
peak = mx.maximum(mx.max(after, axis=-1, keepdims=True), sink)
shares = mx.where(mask, mx.exp(after - peak), 0)
whole = mx.sum(shares, axis=-1, keepdims=True) + mx.exp(sink - peak)
"""
OF_SINKS = """
leans = mx.exp(sink - peak) / whole * mx.sum(p * u, axis=-1, keepdims=True)
dsinks = -mx.sum(leans, axis=(0, 2, 3))
"""
FAST = """
def found(q, k, v):
    return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask={mask})
parts = mx.vjp(found, [q, k, v], [dout])[1]
return parts[0], parts[1], parts[2]
"""
BENCH = {
    "smollm2-135m training, 128 tokens": (1, 9, 3, 128, 128, 64),
    "qwen3-0.6b training, 256 tokens": (1, 16, 8, 256, 256, 128),
    "llama-3.2-1b training, 512 tokens": (1, 32, 8, 512, 512, 64),
}
_LIKE = {"dq": "q", "dk": "k", "dv": "v"}
TERMS = "kv_len + q_len + head_dim"
"""What the errors of a gradient grow with."""
_OF_QUERIES = ("batch", "heads", "q_len")
SAVED = (Tensor("lse", _OF_QUERIES, "float32"), Tensor("delta", _OF_QUERIES, "float32"))
"""What the parts take of the forward pass and of `attention_delta`."""
_FOUND = (
    "delta = sum over k of p[k] u[k]",
    "mx.softmax(after, axis=-1, precise=True)",
    "mx.sum(p * u, axis=-1, keepdims=True)",
)
_GIVEN = (
    "p[k] = exp(min(s - lse[b, h, i], 0)) over the keys seen, delta[b, h, i] given",
    "mx.exp(mx.minimum(after - lse[..., None], 0))",
    "delta[..., None]",
)
"""Delta in words, the weights and delta in MLX: where a gradient finds them, and where not."""


def attention_gradient(
    name: str,
    forward: Op,
    mask: Mask,
    score: Score = AS_IT_IS,
    *,
    sinks: bool = False,
    wanted: tuple[str, ...] = ("dq", "dk", "dv"),
) -> Op:
    """The gradient of a member of the attention family, or a part of it.

    The whole of it finds the sums of the softmax anew. A part takes them as `lse`, in base e as
    `attention_lse` gives them, and `delta` of `attention_delta`, so that one pass serves them all.

    Args:
        name: Name of the op.
        forward: The member.
        mask: Its mask.
        score: Its score, whose slope counts.
        sinks: Whether it has sinks, whose gradient is an output as well; of the whole alone.
        wanted: Which of `dq`, `dk` and `dv` it gives; all of them make it the backward op.

    Raises:
        UsageError: The score has no slope.
    """
    if score.slope_np is None or not score.slope:
        raise UsageError(f"{name}: the score has no slope; give slope= and slope_np=")
    further = further_inputs(mask, score)
    steps = _steps(mask, score, further, wanted, sinks=sinks)
    shapes = {tensor.name: tensor.shape for tensor in attention.inputs}
    whole = len(wanted) == len(_LIKE)
    saved = () if whole else SAVED
    row = [t for t in further if whole and score.learnt and t.name == score.learnt.name]
    of_sinks = [t for t in forward.inputs if sinks and t.name == "sinks"]
    return replace(
        forward,
        name=name,
        formula=_formula(forward, wanted, row, of_sinks),
        inputs=(*forward.inputs, Tensor("dout", attention.outputs[0].shape), *saved),
        outputs=(
            *(Tensor(n, shapes[_LIKE[n]], match=Close(TERMS)) for n in wanted),
            *(_gradient_of(t, learnt.terms(score.learnt)) for t in row if score.learnt),
            *(_gradient_of(t, "batch * q_len") for t in of_sinks),
        ),
        oracle=lambda inputs, workload: steps(inputs, workload, unrounded),
        steps=steps,
        baselines=_baselines(mask, score, wanted, forward, sinks=sinks),
        # Two products of five are the forward's: 6 head_dim a pair for dq, 8 for dk and dv.
        flops=f"{ {'dq': 3, 'dk dv': 4}.get(' '.join(wanted), 5) } * ({forward.flops}) // 2",
        plain_flops="14 * batch * heads * head_dim * q_len * kv_len",
        bytes=_bytes(mask, wanted) if forward.bytes else None,
        nonfinite="undefined",
        visible=_smaller(forward.visible),
        hidden=_smaller(forward.hidden),
        bench=tuple(
            labelled(AXES, label, *sizes, scale=sizes[-1] ** -0.5) for label, sizes in BENCH.items()
        ),
        metal={
            **metal_of(mask, score, sinks=sinks),
            "form": "attention_backward",
            "learnt": {t.name: t.shape[0] for t in row},
            **learnt.metal_of(score),
        },
        gradient_of=forward.name if whole else "",
    )


def _formula(
    forward: Op, wanted: tuple[str, ...], row: Sequence[Tensor], of_sinks: Sequence[Tensor]
) -> str:
    """The mathematics for a proposer; `row` is what the score has learnt."""
    found = (_FOUND if len(wanted) == len(_LIKE) else _GIVEN)[0]
    learnt_too = (
        f" d{t.name}: of every element the sum, over the pairs whose score it changed, of "
        "p[k] (u[k] - delta) times what the score changes by where the element does."
        for t in row
    )
    sinks_too = (
        f" d{t.name} = less the sum over the queries of the sink's weight times delta."
        for t in of_sinks
    )
    names = (*wanted, *(f"d{t.name}" for t in (*row, *of_sinks)))
    return (
        f"A gradient of `{forward.name}`: {forward.formula} With u[k] = dout . v[k] and "
        f"{found}: ds[k] = p[k] (u[k] - delta) times what the score changes by where s does; "
        "dq = scale sum over k of ds[k] k[k]; dk = scale sum over the queries of ds q; dv = sum "
        f"over the queries of p dout.{''.join((*sinks_too, *learnt_too))} "
        f"Wanted: {', '.join(names)}."
    )


def _gradient_of(tensor: Tensor, terms: str) -> Tensor:
    """The gradient of what a score has learnt or of sinks, a sum over queries and batch."""
    return Tensor(f"d{tensor.name}", tensor.shape, match=Close(f"{terms} + {TERMS}"))


def _bytes(mask: Mask, wanted: tuple[str, ...]) -> str:
    """q, dout, and the keys and values seen are read; gradients are written whole."""
    queries, keys = 2 + ("dq" in wanted), sum(n in wanted for n in ("dk", "dv"))
    saved = "" if len(wanted) == len(_LIKE) else "8 * batch * heads * q_len + "
    return (
        f"{saved}itemsize * batch * head_dim * ({queries} * heads * q_len + kv_heads * "
        f"(2 * max(0, min(kv_len, {mask.keys})) + {keys} * kv_len))"
    )


def _smaller(chosen: tuple[Case, ...]) -> tuple[Case, ...]:
    """Cases of few pairs: a gradient is three times the work."""
    return tuple(c for c in chosen if _pairs(c) <= 2200 and c.axes["kv_len"] < 257)


def _pairs(case: Case) -> int:
    """Pairs of a query and a key; those of wide heads count more."""
    return case.axes["q_len"] * case.axes["kv_len"] * (1 + case.axes["head_dim"] // 80)


def _steps(
    mask: Mask,
    score: Score,
    further: tuple[Tensor, ...],
    wanted: tuple[str, ...],
    *,
    sinks: bool,
) -> Steps:
    def found(inputs: Any, workload: Workload, stored: Stored) -> tuple[Any, ...]:
        axes, scale = workload.axes, param_value(workload, "scale")
        repeats = axes["heads"] // axes["kv_heads"]
        parts = []
        for batch in range(axes["batch"]):
            known = known_of(further, inputs, workload, batch)
            one = {
                n: inputs[n][batch] for n in ("q", "k", "v", "dout", "lse", "delta") if n in inputs
            }
            if sinks:
                one["sink"] = inputs["sinks"][:, None, None]
            parts.append(_one(mask, score, known, one, repeats, scale))
        shapes = {n: inputs[_LIKE[n]].shape for n in wanted}
        stacked = {
            n: np.stack([part[n] for part in parts]) if parts else np.zeros(shapes[n])
            for n in wanted
        }
        row = score.learnt.name if score.learnt and len(wanted) == len(_LIKE) else ""
        summed = {"learnt": row, "sinks": "sinks" * sinks}
        return *stacked.values(), *(
            sum((part[key] for part in parts), np.zeros(inputs[name].shape))
            for key, name in summed.items()
            if name
        )

    return found


def _one(
    mask: Mask, score: Score, known: Any, one: Any, repeats: int, scale: float
) -> dict[str, Any]:
    """The gradients of one batch."""
    found = {}
    q, dout = one["q"], one["dout"]
    keys, values = (np.repeat(one[n], repeats, axis=0) for n in ("k", "v"))
    scores = (q * scale) @ keys.swapaxes(-1, -2)
    u = dout @ values.swapaxes(-1, -2)
    if "lse" in one:
        seen = mask.np(**asked(mask.np, known))
        after = score.np(**asked(score.np, {**known, "s": scores}))
        p = np.where(seen, np.exp(np.minimum(after - one["lse"][..., None], 0.0)), 0.0)
        delta = one["delta"][..., None]
    else:
        p, logsum = one_batch(mask, score, known, scores, one.get("sink"))
        delta = (p * u).sum(axis=-1, keepdims=True)
        if "sink" in one:
            found["sinks"] = -(np.exp(one["sink"] - logsum[..., None]) * delta).sum(axis=(1, 2))
    ds = p * (u - delta)
    if score.learnt:
        found["learnt"] = learnt.summed(ds, scores, score.learnt, known)
    if score.slope_np is not None:
        ds = ds * score.slope_np(**asked(score.slope_np, {**known, "s": scores}))
    grouped = (one["k"].shape[0], repeats, *one["k"].shape[1:])
    return {
        **found,
        "dq": scale * (ds @ keys),
        "dk": scale * (ds.swapaxes(-1, -2) @ q).reshape(grouped).sum(axis=1),
        "dv": (p.swapaxes(-1, -2) @ dout).reshape(grouped).sum(axis=1),
    }


def _baselines(
    mask: Mask, score: Score, wanted: tuple[str, ...], forward: Op, *, sinks: bool
) -> dict[str, Baseline | str]:
    changed = score.rows + EXPLICIT.replace("{score}", score.text)
    text = SEEN.replace("{mask}", mask.text) + changed
    text = text.replace("{slope}", score.slope_mlx or as_mlx(score.slope, whole=False))
    _, weights, delta = _FOUND if len(wanted) == len(_LIKE) else _GIVEN
    text = text.replace("{before}", SUMS_WITH_SINK * sinks)
    text = text.replace("{weights}", "shares / whole" if sinks else weights)
    text = text.replace("{delta}", delta)
    names = [*wanted]
    if sinks:
        text += OF_SINKS
        names.append("dsinks")
    if score.learnt and len(wanted) == len(_LIKE):
        text += learnt.mlx_of(score.learnt)
        names.append(f"d{score.learnt.name}")
    given = ", ".join(f"{n}.astype(dtype)" for n in names)
    found: dict[str, Baseline | str] = {"explicit": f"{text}return {given}"}
    known = {"attention": '"causal"', "attention_full": "None"}
    if forward.name in known and len(wanted) == len(_LIKE):
        found["mx.vjp"] = FAST.replace("{mask}", known[forward.name])
    return found


HEADS = "batch heads q_len head_dim"
ROWS = ("batch", "heads", "q_len", "head_dim")
attention_delta = rowwise(
    "attention_delta",
    "attention",
    (Tensor("o", ROWS), Tensor("dout", ROWS)),
    (Tensor("delta", ROWS[:3], "float32", match=Close("head_dim")),),
    np=lambda o, dout: (o * dout).sum(axis=-1),
    mlx="mx.sum(o.astype(mx.float32) * dout.astype(mx.float32), axis=-1)",
    passes={"total": "sum of o * dout"},
    metal={"delta": "total"},
    flops=2,
    op_axes=axes("batch heads q_len", Axis("head_dim", least=1)),
    layout=Layout(ROWS[:3], "head_dim", "o_shape[3]"),
    formula="delta[b, h, i] = sum over d of o[b, h, i, d] dout[b, h, i, d], in float32: what both "
    "backward kernels of attention subtract.",
    cases=(
        cases(HEADS, (1, 1, 1, 4), (1, 2, 5, 64), (2, 3, 7, 80), (1, 4, 16, 128)),
        cases(HEADS, (0, 2, 3, 8), (1, 2, 0, 8), (1, 1, 67, 1), (3, 5, 129, 31), (1, 2, 33, 257)),
        (
            labelled(HEADS, "smollm2-135m training, 128 tokens", 1, 9, 128, 64),
            labelled(HEADS, "llama-3.2-1b training, 512 tokens", 1, 32, 512, 64),
        ),
    ),
)
PARTS = "rows cols"
PEAK = "max(max(x_lse, y_lse), -1e38f)"
attention_merge = rowwise(
    "attention_merge",
    "attention",
    (
        Tensor("x", ("rows", "cols")),
        Tensor("x_lse", ("rows",), "float32", LogSums()),
        Tensor("y", ("rows", "cols")),
        Tensor("y_lse", ("rows",), "float32", LogSums()),
    ),
    (Tensor("out", ("rows", "cols"), match=Close(2)), Tensor("lse", ("rows",), "float32")),
    np=lambda x, x_lse, y, y_lse: _merged(x, x_lse, y, y_lse),
    steps=lambda stored, x, x_lse, y, y_lse: _merged(x, x_lse, y, y_lse),
    mlx="""
peak = mx.maximum(mx.maximum(x_lse, y_lse), -1e38)
a, b = mx.exp(x_lse - peak), mx.exp(y_lse - peak)
sums = x.astype(mx.float32) * a[:, None] + y.astype(mx.float32) * b[:, None]
some = mx.maximum(a + b, 1e-37)[:, None]
return (sums / some).astype(dtype), peak + mx.log(a + b)
""",
    passes={},
    metal={
        "out": f"(x * exp(x_lse - {PEAK}) + y * exp(y_lse - {PEAK})) / "
        f"max(exp(x_lse - {PEAK}) + exp(y_lse - {PEAK}), 1e-37f)",
        "lse": f"{PEAK} + log(exp(x_lse - {PEAK}) + exp(y_lse - {PEAK}))",
    },
    flops=3,  # the weights are a row's
    formula="Two parts of an attention, x and y over keys of their own, with the logarithms of "
    "their sums: m = max of both, a = exp(x_lse - m), b = exp(y_lse - m); out = (a x + b y) / (a + "
    "b), lse = m + log(a + b). A part without keys has -1e30 or -infinity; where both have "
    "-infinity, out is 0 and lse -infinity.",
    cases=(
        cases(PARTS, (1, 1), (4, 64), (8, 128), (3, 100)),
        cases(PARTS, (0, 64), (67, 1), (7, 33), (31, 31), (3, 257), (129, 65)),
        (
            labelled(PARTS, "llama-3.2-1b decode, two halves of the keys", 32, 64),
            labelled(PARTS, "llama-3.2-1b prefill 512, two ranks", 16384, 64),
        ),
    ),
)


def _merged(x: Any, x_lse: Any, y: Any, y_lse: Any) -> Any:
    peak = np.maximum(np.maximum(x_lse, y_lse), -1e38)
    a, b = np.exp(x_lse - peak), np.exp(y_lse - peak)
    sums = x * a[:, None] + y * b[:, None]
    with np.errstate(divide="ignore"):  # of rows without keys
        return sums / np.maximum(a + b, 1e-37)[:, None], peak + np.log(a + b)
