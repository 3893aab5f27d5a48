"""Attention under masks and score modifiers: each a few lines, all rendered by one template."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.baselines import Baseline
from ops.declaring import agreement
from ops.declaring.cases import cases, defaults, labelled, ranges_of, shown, unshown
from ops.declaring.masking import (
    AS_IT_IS,
    CAUSAL,
    EVERY_KEY,
    NO_KEY,
    LogSum,
    Mask,
    Score,
    further_inputs,
    metal_of,
)
from ops.declaring.members import asked, values, written_with
from ops.families.attention.attention import AXES, attention
from ops.matches import Close
from ops.spec import Op, Oracle, Steps, Stored, unrounded
from ops.workload import Case, Tensor, Workload, param_value

# A name of its own keeps the places `q` and `k` apart from the tensors.
SEEN = """
def seen(q, k):
    return {mask}
mask = seen(mx.arange(q_len)[:, None] + (kv_len - q_len), mx.arange(kv_len)[None, :])
mask = mx.expand_dims(mask, -3)
"""
FAST_MASKED = """
found = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
return mx.where(mx.any(mask, axis=-1, keepdims=True), found, mx.zeros_like(found))
"""
EVERY = "return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale)"
ADDED = """
def added(q, k, h):
    return {bias}
places = mx.arange(q_len)[:, None] + (kv_len - q_len)
bias = added(places, mx.arange(kv_len)[None, :], mx.arange(heads)[:, None, None])
"""
ADDED_TO_SEEN = (
    f"{ADDED}mask, seen = mx.where(mask, bias, -1e30).astype(dtype), mask"
    + """
found = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
return mx.where(mx.any(seen, axis=-1, keepdims=True), found, mx.zeros_like(found))
"""
)
ADDED_TO_EVERY = (
    f"{ADDED}mask = bias.astype(dtype)"
    + """
return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
"""
)
SINKS = """
return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask={mask}, sinks=sinks)
"""
EXPLICIT = """
def changed(s, q, k, h):
    return {score}
repeats = heads // kv_heads
keys = mx.repeat(k.astype(mx.float32), repeats, axis=1)
values = mx.repeat(v.astype(mx.float32), repeats, axis=1)
scores = scale * (q.astype(mx.float32) @ keys.swapaxes(-1, -2))
places = mx.arange(q_len)[:, None] + (kv_len - q_len)
scores = changed(scores, places, mx.arange(kv_len)[None, :], mx.arange(heads)[:, None, None])
{weighed}weights = mx.softmax(mx.where(mask, scores, -1e30), axis=-1, precise=True)
return (mx.where(mask, weights, 0) @ values).astype(dtype)
"""
WITH_SUMS = """
def changed(s, q, k, h):
    return {score}
repeats = heads // kv_heads
keys = mx.repeat(k.astype(mx.float32), repeats, axis=1)
values = mx.repeat(v.astype(mx.float32), repeats, axis=1)
scores = scale * (q.astype(mx.float32) @ keys.swapaxes(-1, -2))
places = mx.arange(q_len)[:, None] + (kv_len - q_len)
scores = changed(scores, places, mx.arange(kv_len)[None, :], mx.arange(heads)[:, None, None])
sink = {sink}
peak = mx.maximum(mx.max(mx.where(mask, scores, -1e30), axis=-1, keepdims=True), sink)
weights = mx.where(mask, mx.exp(scores - peak), 0)
total = mx.sum(weights, axis=-1, keepdims=True) + {sink_weight}
live = mx.where(total > 0, total, 1)
sums = mx.where(total > 0, {scale} * (peak + mx.log(live)), {none})[..., 0]
found = ((weights / live) @ values).astype(dtype)
return found{also}
"""
FAST = "mx.fast.scaled_dot_product_attention"
MASKED_BENCH = {
    "smollm2-135m decode, 1024 keys": (1, 9, 3, 1, 1024, 64),
    "smollm2-135m decode, 4096 keys": (1, 9, 3, 1, 4096, 64),
    "smollm2-135m prefill 128": (1, 9, 3, 128, 128, 64),
    "qwen3-0.6b prefill 512": (1, 16, 8, 512, 512, 128),
}
MORE_QUERIES = (
    cases(AXES, (1, 2, 1, 6, 4, 8), (1, 4, 2, 9, 1, 32)),
    cases(
        AXES, (1, 2, 1, 7, 3, 16), (2, 3, 3, 33, 5, 5), (1, 1, 1, 5, 0, 9), (3, 4, 2, 129, 31, 7)
    ),
)
"""Visible and hidden cases with more queries than keys."""


def masked_attention(
    name: str,
    mask: Mask = EVERY_KEY,
    score: Score = AS_IT_IS,
    *,
    sinks: bool = False,
    lse: LogSum | None = None,
    bench: tuple[Case, ...] = (),
    formula: str = "",
) -> Op:
    """Attention with grouped queries under any mask and score modifier.

    Args:
        name: Name of the op.
        mask: Which keys a query sees.
        score: What becomes of a score before the softmax.
        sinks: Whether each head has one more score, an input `sinks`, that counts in the softmax
            and has no value.
        lse: In which form the logarithm of the sum of exp of the scores is a second output, `lse`;
            None: it is none.
        bench: Bench cases beside those of every member.
        formula: The mathematics for a proposer; empty: what mask and score say.

    Raises:
        UsageError: No MLX text follows from the Metal of mask or score, and none is given. Where it
            is loaded, too, if their NumPy and their Metal part, at the first point where they do,
            or a mask sees keys outside of its bounds.
    """
    further = further_inputs(mask, score)
    params = {**mask.params, **score.params}
    early = mask.early and score.early
    more_shown, more_hidden = MORE_QUERIES if early else ((), ())
    found = _steps(mask, score, further, sinks=sinks, lse=lse)
    logsum = Tensor(
        "lse",
        ("batch", "heads", "q_len"),
        "float32",
        match=Close("kv_len + head_dim"),
        infinite=lse is not None and math.isinf(lse.none),
    )
    return replace(
        attention,
        name=name,
        formula=formula or _formula(mask, score, sinks=sinks, lse=lse),
        inputs=(*attention.inputs, *further, *((Tensor("sinks", ("heads",)),) if sinks else ())),
        outputs=(*attention.outputs, *((logsum,) if lse else ())),
        params={"scale": 0.125, **defaults(params)},
        constraints=attention.constraints[: 1 if early else 2],
        premise=partial(agreement.check, mask, score, further),
        ranges={**attention.ranges, **ranges_of(params)},
        oracle=_oracle(mask, score, found),
        steps=found,
        baselines=_baselines(mask, score, sinks=sinks, lse=lse),
        flops=f"4 * batch * heads * head_dim * ({mask.pairs})",
        plain_flops="4 * batch * heads * head_dim * q_len * kv_len",
        bytes="2 * itemsize * batch * head_dim * "
        f"(heads * q_len + kv_heads * max(0, min(kv_len, {mask.keys})))",
        visible=_with_scale(shown((*attention.visible, *more_shown), params)),
        hidden=_with_scale(unshown((*attention.hidden, *more_hidden), params)),
        bench=_by_work(
            *(
                labelled(AXES, label, *sizes, scale=sizes[-1] ** -0.5)
                for label, sizes in MASKED_BENCH.items()
            ),
            *bench,
        ),
        metal=metal_of(mask, score, sinks=sinks, lse=lse),
    )


def _by_work(*given: Case) -> tuple[Case, ...]:
    """Those with few pairs of a query and a key first, decoding before prefills."""
    names = ("heads", "q_len", "kv_len", "head_dim")
    return tuple(sorted(given, key=lambda case: math.prod(case.axes[name] for name in names)))


def _formula(mask: Mask, score: Score, *, sinks: bool, lse: LogSum | None) -> str:
    seen = mask.formula or f"the keys k with {mask.metal}"
    changed = f" Then s becomes {score.formula or score.metal}." if score is not AS_IT_IS else ""
    before = " (below 0 where there are more queries)" if mask.early and score.early else ""
    return (
        "Attention with grouped queries. Head h reads keys and values of head "
        "g = h // (heads // kv_heads). Query i stands at place q = i + kv_len - q_len among the "
        f"keys{before} and sees {seen}. "
        f"s[k] = scale * sum_d q[b, h, i, d] * k[b, g, k, d].{changed} "
        "p = softmax of s over the keys seen; out[b, h, i, d] = sum_k p[k] * v[b, g, k, d]. "
        + _without_keys(mask, score)
        + (
            " sinks[h] is one more score in the sum of the softmax, without a value."
            if sinks
            else ""
        )
        + (
            f" lse[b, h, i] = log{'' if lse.base == math.e else 2} of the sum of exp(s) over the "
            f"keys seen, {lse.none:g} where there is none."
            if lse
            else ""
        )
    )


def _without_keys(mask: Mask, score: Score) -> str:
    if "INFINITY" in score.metal:
        return "A query that sees no key, or none but of score -infinity, gives zeros."
    sees_all = mask.formula == EVERY_KEY.formula
    return (
        "Where there are no keys, zeros." if sees_all else "A query that sees no key gives zeros."
    )


def _steps(
    mask: Mask,
    score: Score,
    further: tuple[Tensor, ...],
    *,
    sinks: bool = False,
    lse: LogSum | None = None,
) -> Steps:
    """The formula in NumPy: the oracle, and the steps of kernels where `stored` is given."""

    def found(
        inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored = unrounded
    ) -> tuple[NDArray[Any], ...]:
        axes = workload.axes
        repeats = axes["heads"] // axes["kv_heads"]
        keys, seen_values = (np.repeat(inputs[name], repeats, axis=1) for name in ("k", "v"))
        scores = stored(inputs["q"] * param_value(workload, "scale")) @ keys.swapaxes(-1, -2)
        sink = inputs["sinks"][:, None, None] if sinks else None
        results, sums = [], []
        for batch in range(axes["batch"]):
            known = known_of(further, inputs, workload, batch)
            weights, logsum = one_batch(mask, score, known, scores[batch], sink)
            results.append(stored(weights) @ seen_values[batch])
            sums.append(_in_form(logsum, lse))
        out = np.stack(results) if results else np.zeros_like(inputs["q"])
        if not lse:
            return (out,)
        return out, (np.stack(sums) if sums else np.zeros(out.shape[:-1]))

    return found


def _oracle(mask: Mask, score: Score, steps: Steps) -> Oracle:
    def found(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
        return steps(inputs, workload, unrounded)

    return written_with(mask.np if mask is not CAUSAL else score.np, found)


def known_of(
    further: tuple[Tensor, ...],
    inputs: Mapping[str, NDArray[Any]],
    workload: Workload,
    batch: int,
) -> dict[str, Any]:
    """What a mask or a score may name, for one batch."""
    axes = workload.axes
    q_len, kv_len, heads = axes["q_len"], axes["kv_len"], axes["heads"]
    per_batch = [t.name for t in further if t.shape[0] == "batch"]
    rows = {t.name: inputs[t.name] for t in further}
    own = {n: a[batch] if n in per_batch else a for n, a in rows.items()}
    return {
        **values(workload),
        **own,
        "q": np.arange(q_len)[:, None] + (kv_len - q_len),
        "k": np.arange(kv_len)[None, :],
        "h": np.arange(heads)[:, None, None],
        "heads": heads,
        "q_len": q_len,
        "kv_len": kv_len,
    }


def one_batch(
    mask: Mask,
    score: Score,
    known: Mapping[str, Any],
    scores: NDArray[Any],
    sink: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights of one batch, zeros in rows without a key, and the logarithms of their sums."""
    seen = np.broadcast_to(mask.np(**asked(mask.np, known)), scores.shape)
    changed = score.np(**asked(score.np, {**known, "s": scores}))
    lowest = -np.inf if sink is None else sink
    peak = np.where(seen, changed, lowest).max(axis=-1, keepdims=True, initial=-np.inf)
    peak = np.where(np.isfinite(peak), peak, 0.0)
    weights = np.exp(np.where(seen, changed - peak, -np.inf))
    total = weights.sum(axis=-1, keepdims=True)
    if sink is not None:
        total = total + np.exp(sink - peak)
    live = np.where(total > 0, total, 1.0)
    logsum = np.where(total > 0, peak + np.log(live), NO_KEY)
    return weights / live, logsum[..., 0]


def _in_form(logsum: NDArray[Any], form: LogSum | None) -> NDArray[Any]:
    return logsum if form is None else np.where(logsum > NO_KEY, form.scale * logsum, form.none)


def _baselines(
    mask: Mask, score: Score, *, sinks: bool, lse: LogSum | None
) -> dict[str, Baseline | str]:
    if sinks or lse:
        text = score.rows + WITH_SUMS.replace("{score}", score.text)
        text = text.replace("{sink_weight}", "mx.exp(sink - peak)" if sinks else "0")
        form = lse or LogSum()
        text = text.replace("{scale}", repr(form.scale)).replace("{none}", form.text)
        text = text.replace(
            "{sink}", "sinks.astype(mx.float32)[:, None, None]" if sinks else "-1e30"
        )
        found: dict[str, Baseline | str] = {
            "mx.softmax": _text(mask, text.replace("{also}", ", sums" if lse else ""))
        }
        return found if lse or score is not AS_IT_IS else {**found, FAST: _with_sinks(mask)}
    if mask is EVERY_KEY and score is AS_IT_IS:
        return {FAST: EVERY}
    if score is AS_IT_IS:
        others = {name: _text(mask, text) for name, text in mask.baselines.items()}
        return {FAST: _text(mask, FAST_MASKED), **others}
    # A key whose score is -infinity has no weight, and a query of such alone gives zeros.
    weighed = "mask = mask & (scores > -math.inf)\n" if "math.inf" in score.text else ""
    text = EXPLICIT.replace("{score}", score.text).replace("{weighed}", weighed)
    explicit: dict[str, Baseline | str] = {"mx.softmax": _text(mask, score.rows + text)}
    if not score.bias:
        return explicit
    return {**explicit, FAST: _with_bias(mask, score)}


def _with_bias(mask: Mask, score: Score) -> str:
    if mask is EVERY_KEY:
        return score.rows + ADDED_TO_EVERY.replace("{bias}", score.bias)
    return _text(mask, score.rows + ADDED_TO_SEEN.replace("{bias}", score.bias))


def _with_sinks(mask: Mask) -> str:
    if mask is CAUSAL:
        return SINKS.replace("{mask}", 'None if q_len == 1 else "causal"')
    return _text(mask, SINKS.replace("{mask}", "mask"))


def _text(mask: Mask, rest: str) -> str:
    return SEEN.replace("{mask}", mask.text) + rest


def _with_scale(given: tuple[Case, ...]) -> tuple[Case, ...]:
    return tuple(
        replace(c, params={"scale": c.axes["head_dim"] ** -0.5 if at % 3 else 0.3, **c.params})
        for at, c in enumerate(given)
    )
