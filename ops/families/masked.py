"""Attention under masks and score modifiers: each a few lines, all rendered by one template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.baselines import Baseline
from ops.cases import defaults, labelled, ranges_of, shown, unshown
from ops.families.attention import AXES, attention
from ops.fills import Segments
from ops.masking import (
    AS_IT_IS,
    CAUSAL,
    CAUSAL_PAIRS,
    EVERY_KEY,
    Mask,
    Score,
    further_inputs,
    metal_of,
)
from ops.members import asked, values, written_with
from ops.spec import Case, Op, Oracle, Steps, Stored, Tensor, Workload, param_value, unrounded

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
EXPLICIT = """
def changed(s, q, k, h):
    return {score}
repeats = heads // kv_heads
keys = mx.repeat(k.astype(mx.float32), repeats, axis=1)
values = mx.repeat(v.astype(mx.float32), repeats, axis=1)
scores = scale * (q.astype(mx.float32) @ keys.swapaxes(-1, -2))
places = mx.arange(q_len)[:, None] + (kv_len - q_len)
scores = changed(scores, places, mx.arange(kv_len)[None, :], mx.arange(heads)[:, None, None])
weights = mx.softmax(mx.where(mask, scores, -1e30), axis=-1, precise=True)
return (mx.where(mask, weights, 0) @ values).astype(dtype)
"""
MASKED_BENCH = {
    "smollm2-135m decode, 1024 keys": (1, 9, 3, 1, 1024, 64),
    "smollm2-135m decode, 4096 keys": (1, 9, 3, 1, 4096, 64),
    "smollm2-135m prefill 128": (1, 9, 3, 128, 128, 64),
    "qwen3-0.6b prefill 512": (1, 16, 8, 512, 512, 128),
}


def masked_attention(
    name: str,
    mask: Mask = EVERY_KEY,
    score: Score = AS_IT_IS,
    *,
    formula: str = "",
) -> Op:
    """Attention with grouped queries under any mask and score modifier.

    Args:
        name: Name of the op.
        mask: Which keys a query sees.
        score: What becomes of a score before the softmax.
        formula: The mathematics for a proposer; empty: what mask and score say.

    Raises:
        UsageError: No MLX text follows from the Metal of mask or score, and none is given.
    """
    further = further_inputs(mask, score)
    params = {**mask.params, **score.params}
    found = _steps(mask, score, further)
    return replace(
        attention,
        name=name,
        formula=formula or _formula(mask, score),
        inputs=(*attention.inputs, *further),
        params={"scale": 0.125, **defaults(params)},
        ranges={**attention.ranges, **ranges_of(params)},
        oracle=_oracle(mask, score, found),
        steps=found,
        baselines=_baselines(mask, score),
        flops=f"4 * batch * heads * head_dim * ({mask.pairs})",
        plain_flops="4 * batch * heads * head_dim * q_len * kv_len",
        bytes="2 * itemsize * batch * head_dim * "
        f"(heads * q_len + kv_heads * max(0, min(kv_len, {mask.keys})))",
        visible=_with_scale(shown(attention.visible, params)),
        hidden=_with_scale(unshown(attention.hidden, params)),
        bench=tuple(
            labelled(AXES, label, *sizes, scale=sizes[-1] ** -0.5)
            for label, sizes in MASKED_BENCH.items()
        ),
        metal=metal_of(mask, score),
    )


def _formula(mask: Mask, score: Score) -> str:
    seen = mask.formula or f"the keys k with {mask.metal}"
    changed = f" Then s becomes {score.formula or score.metal}." if score is not AS_IT_IS else ""
    return (
        "Attention with grouped queries. Head h reads keys and values of head "
        "g = h // (heads // kv_heads). Query i stands at place q = i + kv_len - q_len among the "
        f"keys and sees {seen}. s[k] = scale * sum_d q[b, h, i, d] * k[b, g, k, d].{changed} "
        "p = softmax of s over the keys seen; out[b, h, i, d] = sum_k p[k] * v[b, g, k, d]. "
        "A query that sees no key gives zeros."
    )


def _steps(mask: Mask, score: Score, further: tuple[Tensor, ...]) -> Steps:
    """The formula in NumPy: the oracle, and the steps of kernels where `stored` is given."""

    def found(
        inputs: Mapping[str, NDArray[Any]], workload: Workload, stored: Stored = unrounded
    ) -> tuple[NDArray[Any], ...]:
        axes = workload.axes
        repeats = axes["heads"] // axes["kv_heads"]
        keys, seen_values = (np.repeat(inputs[name], repeats, axis=1) for name in ("k", "v"))
        scores = stored(inputs["q"] * param_value(workload, "scale")) @ keys.swapaxes(-1, -2)
        results = [
            stored(_one_batch(mask, score, _known(further, inputs, workload, batch), scores[batch]))
            @ seen_values[batch]
            for batch in range(axes["batch"])
        ]
        return (np.stack(results) if results else np.zeros_like(inputs["q"]),)

    return found


def _oracle(mask: Mask, score: Score, steps: Steps) -> Oracle:
    def found(inputs: Mapping[str, NDArray[Any]], workload: Workload) -> tuple[NDArray[Any], ...]:
        return steps(inputs, workload, unrounded)

    return written_with(mask.np if mask is not CAUSAL else score.np, found)


def _known(
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


def _one_batch(
    mask: Mask, score: Score, known: Mapping[str, Any], scores: NDArray[Any]
) -> NDArray[Any]:
    """Weights of one batch; rows without a key are zeros."""
    seen = np.broadcast_to(mask.np(**asked(mask.np, known)), scores.shape)
    changed = score.np(**asked(score.np, {**known, "s": scores}))
    peak = np.where(seen, changed, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(np.where(seen, changed - np.where(np.isfinite(peak), peak, 0.0), -np.inf))
    total = weights.sum(axis=-1, keepdims=True)
    result: NDArray[Any] = weights / np.where(total > 0, total, 1.0)
    return result


def _baselines(mask: Mask, score: Score) -> dict[str, Baseline | str]:
    if score is AS_IT_IS:
        return {"mx.fast.scaled_dot_product_attention": _text(mask, FAST_MASKED)}
    return {"mx.softmax": _text(mask, EXPLICIT.replace("{score}", score.text))}


def _text(mask: Mask, rest: str) -> str:
    return SEEN.replace("{mask}", mask.text) + rest


def _with_scale(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    return tuple(
        replace(c, params={"scale": c.axes["head_dim"] ** -0.5 if at % 3 else 0.3, **c.params})
        for at, c in enumerate(cases)
    )


attention_sliding_window = masked_attention(
    "attention_sliding_window",
    Mask(
        np=lambda q, k, window: (k <= q) & (k > q - window),
        metal="k <= q && k > q - window",
        first="q - window + 1",
        until="q + 1",
        params={"window": (128, 5, 1, 33)},
        pairs="q_len * min(window, kv_len - q_len + 1)",
        keys="min(kv_len, window)",
        formula="the last `window` keys up to its own: q - window < k <= q",
    ),
)
attention_dilated_window = masked_attention(
    "attention_dilated_window",
    Mask(
        np=lambda q, k, window, dilation: (
            (np.abs(q - k) <= window) & (np.abs(q - k) % dilation == 0)
        ),
        metal="abs(q - k) <= window && abs(q - k) % dilation == 0",
        first="q - window",
        until="q + window + 1",
        params={"window": (128, 6, 3, 32), "dilation": (2, 3, 1, 4)},
        formula="every `dilation`-th key up to `window` away: |q - k| <= window and |q - k| % "
        "dilation == 0",
    ),
)
attention_prefix = masked_attention(
    "attention_prefix",
    Mask(
        np=lambda q, k, prefix: (k < prefix) | (k <= q),
        metal="k < prefix || k <= q",
        until="max(prefix, q + 1)",
        params={"prefix": (32, 3, 0, 11)},
        pairs=CAUSAL_PAIRS,
        keys="kv_len",
        formula="the first `prefix` keys and those up to its own: k < prefix or k <= q",
    ),
)
attention_document = masked_attention(
    "attention_document",
    Mask(
        np=lambda q, k, segments: (k <= q) & (segments[q] == segments[k]) & (segments[k] >= 0),
        metal="k <= q && segments[q] == segments[k] && segments[k] >= 0",
        until="q + 1",
        inputs=(Tensor("segments", ("batch", "kv_len"), "int32", Segments()),),
        formula="the keys of its own document up to its own: k <= q and segments[b, q] == "
        "segments[b, k]; padding has the segment -1, sees nothing and is not seen",
    ),
)
attention_softcap = masked_attention(
    "attention_softcap",
    CAUSAL,
    Score(
        np=lambda s, cap: cap * np.tanh(s / cap),
        metal="cap * tanh(s / cap)",
        params={"cap": (50.0, 2.0, 20.0)},
    ),
)
attention_alibi = masked_attention(
    "attention_alibi",
    CAUSAL,
    Score(
        np=lambda s, q, k, h, heads: s + 2.0 ** (-8.0 * (h + 1) / heads) * (k - q),
        metal="s + exp2(-8.0f * float(h + 1) / float(heads)) * float(k - q)",
        formula="s + 2^(-8 (h + 1) / heads) (k - q)",
    ),
)
