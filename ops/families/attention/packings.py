"""Attention over what is packed into one sequence, and scores with a bias of a formula of its own.

Batches laid end to end, documents by where they begin, images between words, graphs and distances.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ops.families.attention.masked import masked_attention
from ops.fills import Custom, Int
from ops.masking import CAUSAL, EVERY_KEY, Mask, Score
from ops.spec import Tensor

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
        pairs="q_len",
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
attention_graph = masked_attention(
    "attention_graph",
    EVERY_KEY,
    Score(
        np=lambda s, q, k, h, kv_len, hops, table: s + table[h * DISTANCES + hops[q * kv_len + k]],
        metal=f"s + float(table[h * {DISTANCES} + hops[q * kv_len + k]])",
        inputs=(
            Tensor("hops", ("batch", "kv_len * kv_len"), "uint8", Int(0, DISTANCES - 1)),
            Tensor("table", (f"heads * {DISTANCES}",)),
        ),
        formula=f"s + table[h, hops[b, q, k]], a number of each head for each of {DISTANCES} "
        "distances in a graph, laid out flat (Graphormer)",
    ),
)
attention_twice = masked_attention(
    "attention_twice",
    EVERY_KEY,
    Score(
        np=lambda s: 2.0 * s,
        metal="2.0f * s",
        early=True,
        slope="2.0f",
        slope_np=lambda s: np.full_like(s, 2.0),
    ),
)
attention_squared = masked_attention(
    "attention_squared",
    EVERY_KEY,
    Score(
        np=lambda s: s * s,
        metal="s * s",
        early=True,
        slope="2.0f * s",
        slope_np=lambda s: 2.0 * s,
    ),
)
attention_wave = masked_attention(
    "attention_wave",
    EVERY_KEY,
    Score(
        np=lambda s, rate: math.pi * np.sin(rate * s),
        metal="3.14159265f * sin(rate * s)",
        early=True,
        params={"rate": (1.0, 0.25, 0.5)},
        slope="3.14159265f * rate * cos(rate * s)",
        slope_np=lambda s, rate: math.pi * rate * np.cos(rate * s),
        formula="pi sin(rate s)",
    ),
)
