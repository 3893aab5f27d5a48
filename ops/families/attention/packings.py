"""Attention over what is packed into one sequence, and scores with a bias of a formula of its own.

Batches laid end to end, documents by where they begin, images between words, graphs and distances.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.declaring.masking import CAUSAL, CAUSAL_PAIRS, EVERY_KEY, LearntBins, Mask, Score
from ops.families.attention.masked import masked_attention
from ops.families.attention.pairs import batches
from ops.fills import Custom, Int
from ops.workload import Tensor

SANDWICH_TERMS = 4
"""Cosines of a sandwich bias."""
DISTANCES = 16
"""Distances of a graph that have a bias of their own; what is farther has the last one's."""


def _starts(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """The first place of the document of each place; half of the rows have few documents."""
    begins = rng.integers(0, rng.choice((3, 40), (*shape[:-1], 1)), shape) == 0
    found = np.where(begins, np.arange(shape[-1]), 0)
    return np.maximum.accumulate(found, axis=-1).astype(np.int32) if found.size else found


attention_batched = masked_attention(
    "attention_batched",
    Mask(
        np=lambda q, k, length: (q // length == k // length) & (k % length <= q % length),
        metal="k >= q / length * length && k <= q",
        first="q / length * length",
        until="q + 1",
        params={"length": (64, 5, 1, 512, 17)},
        pairs=batches("length"),
        formula="sequences of `length` places laid end to end, every one causal: k // length == "
        "q // length and k <= q",
    ),
)
attention_packed_document = masked_attention(
    "attention_packed_document",
    Mask(
        np=lambda q, k, starts: (k <= q) & (k >= starts[q]),
        metal="k <= q && k >= starts[q]",
        first="starts[q]",
        until="q + 1",
        inputs=(Tensor("starts", ("batch", "kv_len"), "int32", Custom(_starts)),),
        formula="the keys of its own document up to its own: starts[b, q] <= k <= q, starts[b, q] "
        "the first place of the document of q",
    ),
)
attention_interval = masked_attention(
    "attention_interval",
    Mask(
        np=lambda q, k, begins, ends: (k >= begins[q]) & (k < ends[q]),
        metal="k >= begins[q] && k < ends[q]",
        first="begins[q]",
        until="ends[q]",
        inputs=(
            Tensor("begins", ("batch", "kv_len"), "int32", Int(0, 64)),
            Tensor("ends", ("batch", "kv_len"), "int32", Int(0, 1024)),
        ),
        pairs="0",
        keys="0",
        formula="an interval of keys of each query, such as the image before a word: begins[b, q] "
        "<= k < ends[b, q] (Flamingo); it may be empty",
    ),
)


def _sandwich(s: Any, q: Any, k: Any, h: Any, heads: int) -> Any:
    apart = sum(np.cos((q - k) * 10.0**-i) for i in range(SANDWICH_TERMS))
    return s + apart * heads / (8.0 * (h + 1))


_COSINES = " + ".join(
    f"cos(float(q - k) * {10.0**-i:.{max(i, 1)}f}f)" for i in range(SANDWICH_TERMS)
)
attention_sandwich = masked_attention(
    "attention_sandwich",
    CAUSAL,
    Score(
        np=_sandwich,
        metal=f"s + ({_COSINES}) * (float(heads) / (8.0f * float(h + 1)))",
        early=True,
        slope="1.0f",
        slope_np=lambda s: np.ones_like(s),
        formula="s + heads / (8 (h + 1)) times the sum of cos((q - k) 10^-i) over "
        f"i < {SANDWICH_TERMS}",
    ),
)
GRAPH = Score(
    np=lambda s, q, k, h, kv_len, hops, table: s + table[h * DISTANCES + hops[q * kv_len + k]],
    metal=f"s + float(table[h * {DISTANCES} + hops[q * kv_len + k]])",
    inputs=(
        Tensor("hops", ("batch", "kv_len * kv_len"), "uint8", Int(0, DISTANCES - 1)),
        Tensor("table", (f"heads * {DISTANCES}",)),
    ),
    slope="1.0f",
    slope_np=lambda s: np.ones_like(s),
    learnt=LearntBins(
        "table",
        DISTANCES,
        np=lambda q, k, kv_len, hops: hops[q * kv_len + k],
        metal="hops[q * kv_len + k]",
    ),
    formula=f"s + table[h, hops[b, q, k]], a number of each head for each of {DISTANCES} "
    "distances in a graph, laid out flat (Graphormer)",
)
attention_graph = masked_attention("attention_graph", EVERY_KEY, GRAPH)
TWICE = Score(
    np=lambda s: 2.0 * s,
    metal="2.0f * s",
    early=True,
    slope="2.0f",
    slope_np=lambda s: np.full_like(s, 2.0),
)
attention_twice = masked_attention("attention_twice", EVERY_KEY, TWICE)
SQUARED = Score(
    np=lambda s: s * s,
    metal="s * s",
    early=True,
    slope="2.0f * s",
    slope_np=lambda s: 2.0 * s,
)
attention_squared = masked_attention("attention_squared", EVERY_KEY, SQUARED)
WAVE = Score(
    np=lambda s, rate: math.pi * np.sin(rate * s),
    metal="3.14159265f * sin(rate * s)",
    early=True,
    params={"rate": (1.0, 0.25, 0.5)},
    slope="3.14159265f * rate * cos(rate * s)",
    slope_np=lambda s, rate: math.pi * rate * np.cos(rate * s),
    formula="pi sin(rate s)",
)
attention_wave = masked_attention("attention_wave", EVERY_KEY, WAVE)
T5_BUCKETS = 32
"""Distances of T5 that have a bias of their own."""


def _t5_bucket(q: Any, k: Any, furthest: int, one_way: bool) -> Any:
    away = np.maximum(q - k, 0) if one_way else np.abs(q - k)
    near = T5_BUCKETS // 2 if one_way else T5_BUCKETS // 4
    share = np.log(np.maximum(away, 1) / near) / np.log(furthest / near)
    far = np.minimum(near + np.floor(share * near + 1e-5), 2 * near - 1)
    after = 0 if one_way else np.where(k > q, 2 * near, 0)
    return np.where(away < near, away, far).astype(np.int64) + after


def _t5(s: Any, q: Any, k: Any, h: Any, table: Any, furthest: int, one_way: bool) -> Any:
    return s + table[h * T5_BUCKETS + _t5_bucket(q, k, furthest, one_way)]


_NEAR, _AWAY = "(one_way ? 16 : 8)", "(one_way ? max(q - k, 0) : abs(q - k))"
_SHARE = f"log(float(max({_AWAY}, 1)) / float({_NEAR})) / log(float(furthest) / float({_NEAR}))"
_FAR = f"min({_NEAR} + int(floor({_SHARE} * float({_NEAR}) + 1e-5f)), 2 * {_NEAR} - 1)"
_BUCKET = f"({_AWAY} < {_NEAR} ? {_AWAY} : {_FAR}) + (one_way || k <= q ? 0 : 16)"
_WAY_MLX = "(mx.maximum(q - k, 0) if one_way else mx.abs(q - k))"
_BUCKET_MLX = f"""mx.where(
{_WAY_MLX} < (16 if one_way else 8), {_WAY_MLX}, mx.minimum((16 if one_way else 8) + mx.floor(
mx.log(mx.maximum({_WAY_MLX}, 1) / (16 if one_way else 8))
/ math.log(furthest / (16 if one_way else 8)) * (16 if one_way else 8) + 1e-5).astype(mx.int32),
31 if one_way else 15)) + (0 if one_way else mx.where(k > q, 16, 0))"""
T5_SEEN = Mask(
    np=lambda q, k, one_way: (k <= q) | (not one_way),
    metal="!one_way || k <= q",
    mlx="(k <= q) | (not one_way)",
    until="one_way ? q + 1 : kv_len",
    early=True,
    params={"one_way": False},
    pairs=CAUSAL_PAIRS,
    formula="every key, or those up to its own where `one_way` is set",
)
T5 = Score(
    np=_t5,
    metal=f"s + float(table[h * {T5_BUCKETS} + {_BUCKET}])",
    mlx=f"s + mx.take(table, h * {T5_BUCKETS} + {_BUCKET_MLX})",
    early=True,
    params={"furthest": (128, 96, 64, 256), "one_way": False},
    inputs=(Tensor("table", (f"heads * {T5_BUCKETS}",)),),
    slope="1.0f",
    slope_np=lambda s: np.ones_like(s),
    learnt=LearntBins("table", T5_BUCKETS, np=_t5_bucket, metal=_BUCKET, mlx=_BUCKET_MLX),
    formula=f"s + table[h, bucket of k - q], {T5_BUCKETS} numbers of each head laid out flat, "
    "buckets as in `t5_bias`: both ways in an encoder, one way in a decoder",
)
attention_t5 = masked_attention("attention_t5", T5_SEEN, T5)
ROTARY = 8
"""Elements of the rotary part of a query and a key."""
_DOT = " + ".join(
    f"float(q_turned[(h * kv_len + q) * {ROTARY} + {r}]) * float(k_turned[k * {ROTARY} + {r}])"
    for r in range(ROTARY)
)
attention_rotary_part = masked_attention(
    "attention_rotary_part",
    CAUSAL,
    Score(
        np=lambda s, q, k, h, kv_len, q_turned, k_turned: (
            s
            + sum(
                q_turned[(h * kv_len + q) * ROTARY + r] * k_turned[k * ROTARY + r]
                for r in range(ROTARY)
            )
        ),
        metal=f"s + {_DOT}",
        mlx=f"s + q_turned.astype(mx.float32).reshape(batch, heads, kv_len, {ROTARY})"
        "[:, :, kv_len - q_len:] @ "
        f"k_turned.astype(mx.float32).reshape(batch, 1, kv_len, {ROTARY}).swapaxes(-1, -2)",
        inputs=(
            Tensor("q_turned", ("batch", f"heads * kv_len * {ROTARY}")),
            Tensor("k_turned", ("batch", f"kv_len * {ROTARY}")),
        ),
        slope="1.0f",
        slope_np=lambda s: np.ones_like(s),
        formula=f"s + sum over r < {ROTARY} of q_turned[b, h, q, r] k_turned[b, k, r], laid out "
        "flat: the part of a query that is turned, scaled already, and one key of it that all "
        "heads share (MLA)",
    ),
)
