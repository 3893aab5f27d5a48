"""Attention of the literature: windows, documents, prefixes, images, trees; scores with a bias."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ops.declaring.cases import labelled
from ops.declaring.masking import (
    CAUSAL,
    CAUSAL_PAIRS,
    EVERY_KEY,
    LearntBins,
    LearntRow,
    LogSum,
    Mask,
    Score,
)
from ops.families.attention.attention import AXES
from ops.families.attention.masked import SEEN, masked_attention
from ops.families.attention.pairs import (
    CANVAS_KEYS,
    INVERSE_CAUSAL,
    canvas,
    diffusion,
    every_nth,
    two_sided,
    until_prefix,
)
from ops.fills import Bool, Custom, Int, Segments
from ops.texts.metal import as_mlx
from ops.workload import Tensor


def _block_diffusion(q: Any, k: Any, half: int, block: int) -> Any:
    """By the three parts of the paper: the own block, clean ones before, clean ones of clean."""
    q_block, k_block = (q % half) // block, (k % half) // block
    q_noisy, k_noisy = q < half, k < half
    own = (q_block == k_block) & (q_noisy == k_noisy)
    before = (q_block > k_block) & q_noisy & ~k_noisy
    clean = (q_block > k_block) & ~q_noisy & ~k_noisy
    return own | before | clean


def _neighbours(q: Any, k: Any, kv_len: int, width: int, reach: int) -> Any:
    lines = (kv_len - 1) // width + 1
    line = np.maximum(np.minimum(q // width, lines - 1 - reach), reach)
    column = np.maximum(np.minimum(q % width, width - 1 - reach), reach)
    return (np.abs(line - k // width) <= reach) & (np.abs(column - k % width) <= reach)


_MISSED = "max(0, min(window, kv_len) - 1 - (kv_len - min(q_len, kv_len)))"
# The first query sees least far back; a single one sees all of its window.
WINDOWED = """
left_out = max(kv_len - q_len - window + 1, 0)
keys, values = k[:, :, left_out:], v[:, :, left_out:]
near = None if q_len == 1 else mask[..., left_out:]
found = mx.fast.scaled_dot_product_attention(q, keys, values, scale=scale, mask=near)
sees = mx.any(mask, axis=-1, keepdims=True)
return found if q_len <= kv_len else mx.where(sees, found, mx.zeros_like(found))
"""
WINDOW = Mask(
    np=lambda q, k, window: (k <= q) & (k > q - window),
    metal="k <= q && k > q - window",
    first="q - window + 1",
    until="q + 1",
    params={"window": (128, 5, 1, 4096, 33)},
    # The first queries see fewer than `window` keys where little stands before them.
    pairs=f"min(q_len, kv_len) * min(window, kv_len) - {_MISSED} * ({_MISSED} + 1) // 2",
    early=True,
    keys="min(kv_len, window)",
    baselines={"keys of the window": WINDOWED},
    formula="the last `window` keys up to its own: q - window < k <= q",
)
attention_sliding_window = masked_attention(
    "attention_sliding_window",
    WINDOW,
    bench=(
        labelled(
            AXES, "gemma-3-1b decode, 4096 keys", 1, 4, 1, 1, 4096, 256, scale=0.0625, window=512
        ),
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
        params={"window": (128, 6, 3, 4096, 32), "dilation": (2, 3, 1, 4)},
        pairs=every_nth("window", "dilation"),
        early=True,
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
        params={"prefix": (32, 3, 0, 256, 11)},
        early=True,
        pairs=until_prefix("prefix", CAUSAL_PAIRS),
        keys="kv_len",
        formula="the first `prefix` keys and those up to its own: k < prefix or k <= q",
    ),
)
DOCUMENT = Mask(
    np=lambda q, k, segments: (k <= q) & (segments[q] == segments[k]) & (segments[k] >= 0),
    metal="k <= q && segments[q] == segments[k] && segments[k] >= 0",
    until="q + 1",
    inputs=(Tensor("segments", ("batch", "kv_len"), "int32", Segments(packed=12)),),
    formula="the keys of its own document up to its own: k <= q and segments[b, q] == "
    "segments[b, k]; padding has the segment -1, sees nothing and is not seen",
)
PACKED = tuple(
    labelled(AXES, f"kvax, 12 documents, {n} tokens", 1, 32, 8, n, n, 128, scale=128**-0.5)
    for n in (8192, 16384, 32768)
)
attention_document = masked_attention("attention_document", DOCUMENT, bench=PACKED)
attention_shared_prefix = masked_attention(
    "attention_shared_prefix",
    Mask(
        np=lambda q, k, segments, shared: (
            (k <= q)
            & (segments[q] >= 0)
            & (segments[k] >= 0)
            & ((segments[k] == segments[q]) | (segments[k] == shared[q]))
        ),
        metal="k <= q && segments[q] >= 0 && segments[k] >= 0 && "
        "(segments[k] == segments[q] || segments[k] == shared[q])",
        until="q + 1",
        inputs=(
            Tensor("segments", ("batch", "kv_len"), "int32", Segments()),
            Tensor("shared", ("batch", "kv_len"), "int32", Int(-1, 4)),
        ),
        formula="the keys up to its own of its own document and of the prefix that this shares: "
        "k <= q and segments[b, k] is segments[b, q] or shared[b, q], the document that is the "
        "prefix of that of q (-1: none); padding has the segment -1, sees nothing and is not seen",
    ),
)
SOFTCAP = Score(
    np=lambda s, cap: cap * np.tanh(s / cap),
    metal="cap * tanh(s / cap)",
    params={"cap": (50.0, 2.0, 20.0)},
    early=True,
    slope="1.0f - tanh(s / cap) * tanh(s / cap)",
    slope_np=lambda s, cap: 1.0 - np.square(np.tanh(s / cap)),
)
attention_softcap = masked_attention(
    "attention_softcap",
    CAUSAL,
    SOFTCAP,
)
ALIBI = Score(
    np=lambda s, q, k, h, heads: s + 2.0 ** (-8.0 * (h + 1) / heads) * (k - q),
    metal="s + exp2(-8.0f * float(h + 1) / float(heads)) * float(k - q)",
    formula="s + 2^(-8 (h + 1) / heads) (k - q)",
    early=True,
    slope="1.0f",
    slope_np=lambda s: np.ones_like(s),
)
attention_alibi = masked_attention(
    "attention_alibi",
    CAUSAL,
    ALIBI,
)
attention_full = masked_attention(
    "attention_full",
    EVERY_KEY,
    bench=(
        labelled(
            AXES,
            "stable-diffusion-1.5, 4096 places ask 77 words",
            *(1, 8, 8, 4096, 77, 40),
            scale=40**-0.5,
        ),
    ),
)
attention_inverse_causal = masked_attention(
    "attention_inverse_causal",
    Mask(np=lambda q, k: k >= q, metal="k >= q", first="q", early=True, pairs=INVERSE_CAUSAL),
)
attention_two_sided_window = masked_attention(
    "attention_two_sided_window",
    Mask(
        np=lambda q, k, before, behind: (k >= q - before) & (k <= q + behind),
        metal="k >= q - before && k <= q + behind",
        first="q - before",
        until="q + behind + 1",
        params={"before": (64, 5, 1, 512, 17), "behind": (64, 3, 0, 512, 9)},
        early=True,
        pairs=two_sided("before", "behind"),
        formula="the keys from `before` in front of its own to `behind` after it",
    ),
)
attention_block_diffusion = masked_attention(
    "attention_block_diffusion",
    Mask(
        np=lambda q, k, kv_len, block: _block_diffusion(q, k, max(kv_len // 2, 1), block),
        metal="((q % max(kv_len / 2, 1)) / block == (k % max(kv_len / 2, 1)) / block && "
        "(q < max(kv_len / 2, 1)) == (k < max(kv_len / 2, 1))) || "
        "(k >= max(kv_len / 2, 1) && ((q % max(kv_len / 2, 1)) / block > "
        "(k % max(kv_len / 2, 1)) / block))",
        mlx="(((q % max(kv_len // 2, 1)) // block == (k % max(kv_len // 2, 1)) // block) & "
        "((q < max(kv_len // 2, 1)) == (k < max(kv_len // 2, 1)))) | "
        "((k >= max(kv_len // 2, 1)) & ((q % max(kv_len // 2, 1)) // block > "
        "(k % max(kv_len // 2, 1)) // block))",
        params={"block": (16, 3, 1, 64, 5)},
        pairs=diffusion("block"),
        formula="for n = kv_len / 2, noisy places first and clean ones from n on, in blocks of "
        "`block` places (place % n) / block: those of its own block and half, and all clean ones "
        "of earlier blocks",
    ),
)
attention_neighbourhood_2d = masked_attention(
    "attention_neighbourhood_2d",
    Mask(
        np=lambda q, k, kv_len, width, reach: _neighbours(q, k, kv_len, width, reach),
        metal="abs(max(min(q / width, (kv_len - 1) / width - reach), reach) - k / width) <= reach "
        "&& abs(max(min(q % width, width - 1 - reach), reach) - k % width) <= reach",
        params={"width": (16, 4, 3, 7), "reach": (2, 1, 1, 3)},
        pairs=canvas(
            ("reach", "width"),
            ("reach", "ceildiv(kv_len, width)"),
            begun="min(1, kv_len % width)",
        ),
        keys=CANVAS_KEYS,
        formula="keys on a canvas of lines of `width` places: those within `reach` lines and "
        "columns of the query's own place, which is moved inwards at the edges first: "
        "max(min(line, last line - reach), reach), and columns likewise",
    ),
)
attention_global_window = masked_attention(
    "attention_global_window",
    Mask(
        np=lambda q, k, window, everywhere: (
            (np.abs(q - k) <= window) | everywhere[q] | everywhere[k]
        ),
        metal="abs(q - k) <= window || everywhere[q] || everywhere[k]",
        params={"window": (64, 4, 1, 256, 17)},
        pairs=two_sided("window", "window"),
        inputs=(Tensor("everywhere", ("kv_len",), "bool_", Bool()),),
        formula="the keys up to `window` away, and the global ones; a global query sees all: "
        "|q - k| <= window or everywhere[q] or everywhere[k] (Longformer, BigBird)",
    ),
)


def _block_sparse(block: int) -> Mask:
    """The keys of live blocks of that many queries and keys."""
    blocks = f"ceildiv(kv_len, {block})"
    return Mask(
        np=lambda q, k, kv_len, live: live[(q // block) * -(-kv_len // block) + k // block],
        metal=f"live[(q / {block}) * ((kv_len + {block - 1}) / {block}) + k / {block}]",
        inputs=(Tensor("live", (f"{blocks} * {blocks}",), "bool_", Bool()),),
        pairs="0",
        keys="0",
        formula=f"the keys of live blocks: live[q / {block}, k / {block}], laid out flat",
    )


attention_block_sparse = masked_attention("attention_block_sparse", _block_sparse(8))
attention_block_sparse_64 = masked_attention("attention_block_sparse_64", _block_sparse(64))
attention_block_sparse_128 = masked_attention("attention_block_sparse_128", _block_sparse(128))
TILE, TILES = 16, 4
"""Places of a tile, and how many tiles of keys a tile of queries has picked at most."""


def _picked(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """Tiles of keys; one in eight of a list is none."""
    found = rng.integers(0, max(-(-sizes["kv_len"] // TILE), 1), shape)
    return np.where(rng.integers(0, 8, shape) == 0, -1, found).astype(np.int32)


def _is_picked(q: Any, k: Any, picked: Any) -> Any:
    own = picked[q[:, 0] // TILE * TILES + np.arange(TILES)[:, None]]
    return (own[..., None] == k // TILE).any(axis=0)


attention_top_tiles = masked_attention(
    "attention_top_tiles",
    Mask(
        np=_is_picked,
        metal=" || ".join(
            f"picked[q / {TILE} * {TILES} + {at}] == k / {TILE}" for at in range(TILES)
        ),
        inputs=(
            Tensor(
                "picked",
                ("batch", f"ceildiv(kv_len, {TILE}) * {TILES}"),
                "int32",
                Custom(_picked),
            ),
        ),
        pairs="0",
        keys="0",
        formula=f"the keys of the tiles of {TILE} places that the tile of q has picked, {TILES} at "
        f"most (-1: none), a list of each laid out flat: picked[b, q / {TILE}, i] == k / {TILE} "
        "for any i (video sparse attention)",
    ),
)
attention_tree = masked_attention(
    "attention_tree",
    Mask(
        np=lambda q, k, kv_len, ancestors: (q == k) | ancestors[q * kv_len + k],
        metal="q == k || ancestors[q * kv_len + k]",
        inputs=(Tensor("ancestors", ("kv_len * kv_len",), "bool_", Bool()),),
        pairs="q_len",
        keys="q_len",
        formula="itself and its ancestors in a tree of drafted tokens: k == q or ancestors[q, k], "
        "laid out flat",
    ),
)
attention_relative = masked_attention(
    "attention_relative",
    EVERY_KEY,
    Score(
        np=lambda s, q, k, rate: s + rate * (q - k),
        metal="s + rate * float(q - k)",
        params={"rate": (0.05, -0.125, 0.0, 0.25)},
        early=True,
    ),
)
HEAD_OFFSET = Score(
    np=lambda s, h, offset: s * offset[h],
    metal="s * float(offset[h])",
    inputs=(Tensor("offset", ("heads",)),),
    early=True,
    slope="float(offset[h])",
    slope_np=lambda s, h, offset: offset[h] * np.ones_like(s),
    learnt=LearntBins(
        "offset", 1, np=lambda q, k: 0 * (q + k), metal="0", slope="s", slope_np=lambda s: s
    ),
    formula="s * offset[h], a number of each head (a sum with it would leave the softmax as it is)",
)
attention_head_offset = masked_attention("attention_head_offset", CAUSAL, HEAD_OFFSET)
CHECKERBOARD = Score(
    np=lambda s, q, k: np.where((q + k) % 2 == 0, 0.5 * s, 2.0 * s),
    metal="(q + k) % 2 == 0 ? 0.5f * s : 2.0f * s",
    mlx="mx.where((q + k) % 2 == 0, 0.5 * s, 2.0 * s)",
    early=True,
    slope="(q + k) % 2 == 0 ? 0.5f : 2.0f",
    slope_mlx="mx.where((q + k) % 2 == 0, 0.5, 2.0)",
    slope_np=lambda s, q, k: np.where((q + k) % 2 == 0, 0.5, 2.0),
    formula="s / 2 where q + k is even, 2 s where it is odd",
)
attention_checkerboard = masked_attention("attention_checkerboard", EVERY_KEY, CHECKERBOARD)
TABLE = Score(
    np=lambda s, q, k, h, kv_len, table: s + table[h * 2 * kv_len + q - k + kv_len],
    metal="s + float(table[h * 2 * kv_len + q - k + kv_len])",
    inputs=(Tensor("table", ("heads * 2 * kv_len",)),),
    slope="1.0f",
    slope_np=lambda s: np.ones_like(s),
    learnt=LearntRow(
        "table", np=lambda q, column, kv_len: q + kv_len - column, metal="q + kv_len - column"
    ),
    formula="s + table[h, q - k + kv_len], 2 kv_len numbers of each head laid out flat: a learnt "
    "bias of every distance",
)
attention_table = masked_attention("attention_table", EVERY_KEY, TABLE)
attention_sinks = masked_attention("attention_sinks", CAUSAL, sinks=True)
attention_lse = masked_attention("attention_lse", CAUSAL, lse=LogSum())
attention_lse_base2 = masked_attention("attention_lse_base2", CAUSAL, lse=LogSum(2.0, none=0.0))
attention_lse_infinite = masked_attention(
    "attention_lse_infinite", CAUSAL, lse=LogSum(none=-math.inf)
)
attention_sliding_window_lse = masked_attention(
    "attention_sliding_window_lse", WINDOW, lse=LogSum()
)
attention_document_lse = masked_attention("attention_document_lse", DOCUMENT, lse=LogSum())
attention_softcap_lse = masked_attention("attention_softcap_lse", CAUSAL, SOFTCAP, lse=LogSum())
UPPER_LEFT = Mask(
    np=lambda q, k, q_len, kv_len: k <= q + q_len - kv_len,
    metal="k <= q + q_len - kv_len",
    until="q + q_len - kv_len + 1",
    early=True,
    pairs="min(q_len, kv_len) * (min(q_len, kv_len) + 1) // 2 + max(0, q_len - kv_len) * kv_len",
    formula="the keys up to its own number, as the first query is aligned with the first key: "
    "k <= i (FlexAttention, Pallas)",
)
attention_upper_left = masked_attention("attention_upper_left", UPPER_LEFT)
_SEEN = as_mlx(DOCUMENT.metal, whole=False)
ANY_KEY = replace(EVERY_KEY, pairs="0", keys="0")
OR_MEAN = Score(
    np=lambda s, q, k, segments: np.where(DOCUMENT.np(q, k, segments), s, -1e30),
    metal=f"{DOCUMENT.metal} ? s : -1e30f",
    mlx=f"mx.where({_SEEN}, s, -1e30)",
    inputs=DOCUMENT.inputs,
    slope=f"{DOCUMENT.metal} ? 1.0f : 0.0f",
    slope_np=lambda s, q, k, segments: np.where(DOCUMENT.np(q, k, segments), 1.0, 0.0),
    slope_mlx=f"mx.where({_SEEN}, 1.0, 0.0)",
    formula="-1e30 where `attention_document` does not see: a query that sees none there gives "
    "the mean of v, as boolean masks do in MLX",
)
attention_document_mean = replace(
    masked_attention("attention_document_mean", ANY_KEY, OR_MEAN),
    baselines={
        "mx.fast.scaled_dot_product_attention": SEEN.replace("{mask}", DOCUMENT.text)
        + "return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)"
    },
)
