"""Caches of keys and values, contiguous or in pages, and other rows that are moved about."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.fills import Custom, Distinct
from ops.matches import Exact
from ops.parameters import Range
from ops.workload import Tensor

APPEND = "cache count heads head_dim"
PAGED = "pages page_size batch heads head_dim"


def _append(cache: Any, new: Any, position: int) -> Any:
    found = cache.copy()
    at = (np.arange(len(new)) + int(position)) % max(len(cache), 1)
    found[at] = new
    return found


kv_append = indexed(
    "kv_append",
    "caches",
    axes("cache count heads head_dim"),
    (
        Tensor("kept", ("cache", "heads", "head_dim")),
        Tensor("given", ("count", "heads", "head_dim")),
    ),
    (Tensor("out", ("cache", "heads", "head_dim"), match=Exact(), continues="kept"),),
    np=lambda kept, given, position: _append(kept, given, position),
    mlx="""
at = (mx.arange(count) + position) % cache
where = mx.zeros((cache,), dtype=mx.int32)
where[at] = mx.arange(count) + 1
picked = mx.concatenate([mx.zeros((1, heads, head_dim), dtype=dtype), given], axis=0)[where]
return mx.where(where[:, None, None] > 0, picked, kept)
""",
    metal="""
const uint width = heads * head_dim;
const uint from = (i / width + cache - uint(position) % cache) % cache;
out[i] = from < given_shape[0] ? given[from * width + i % width] : kept[i];
""",
    flops="0",
    bytes="2 * count * heads * head_dim * itemsize",
    params={"position": 3},
    ranges={"position": Range(0, 131_072, usual=(0, 1, 511, 2047))},
    constraints=("count <= cache",),
    cases=(
        (
            *cases(APPEND, (4, 1, 1, 2), (16, 2, 2, 8), (8, 8, 1, 4), position=1),
            *cases(APPEND, (64, 5, 2, 32), position=59),
        ),
        (
            *cases(APPEND, (0, 0, 1, 2), (3, 0, 2, 5), (1, 1, 1, 1), (7, 3, 3, 5), position=5),
            *cases(APPEND, (33, 17, 2, 31), position=130),
            *cases(APPEND, (129, 1, 3, 65)),
        ),
        (
            labelled(APPEND, "smollm2-135m decode, 2048 keys", 2048, 1, 3, 64, position=511),
            labelled(APPEND, "llama-3.2-1b decode, 4096 keys", 4096, 1, 8, 64, position=2047),
            labelled(APPEND, "llama-3.2-1b prefill 512", 4096, 512, 8, 64, position=0),
        ),
    ),
    formula="Row (position + t) % cache of out is given[t]; every other row is that of kept: a "
    "cache that rotates once it is full. No more rows are given than the cache holds.",
)
TABLE = Tensor("pages_of", ("batch",), "uint32", Distinct("pages"))
paged_kv_append = indexed(
    "paged_kv_append",
    "caches",
    axes("pages page_size batch heads head_dim"),
    (
        Tensor("pool", ("pages", "page_size", "heads", "head_dim")),
        Tensor("given", ("batch", "heads", "head_dim")),
        TABLE,
        Tensor("slots", ("batch",), "uint32", Custom(lambda r, s, d, z, v: _slots(r, s, z))),
    ),
    (Tensor("out", ("pages", "page_size", "heads", "head_dim"), match=Exact(), continues="pool"),),
    np=lambda pool, given, pages_of, slots: _paged_append(pool, given, pages_of, slots),
    mlx="""
at = pages_of * page_size + slots
where = mx.zeros((pages * page_size,), dtype=mx.int32)
where[at] = mx.arange(batch) + 1
picked = mx.concatenate([mx.zeros((1, heads, head_dim), dtype=dtype), given], axis=0)[where]
rows = pool.reshape(pages * page_size, heads, head_dim)
return mx.where(where[:, None, None] > 0, picked, rows).reshape(pool.shape)
""",
    metal="""
const uint width = heads * head_dim;
const uint row = i / width;
T found = pool[i];
for (uint b = 0; b < batch; ++b) {
  found = pages_of[b] * page_size + slots[b] == row ? given[b * width + i % width] : found;
}
out[i] = found;
""",
    flops="0",
    bytes="2 * batch * heads * head_dim * itemsize + 8 * batch",
    constraints=("batch <= pages", "1 <= page_size"),
    cases=(
        cases(PAGED, (2, 4, 1, 1, 2), (8, 4, 3, 2, 8), (5, 8, 2, 1, 32)),
        cases(
            PAGED,
            *((1, 1, 1, 1, 1), (3, 2, 0, 2, 4), (7, 16, 7, 3, 5), (17, 16, 5, 2, 33)),
            (33, 8, 9, 1, 31),
        ),
        (
            labelled(PAGED, "llama-3.2-1b decode, batch 8", 128, 16, 8, 8, 64),
            labelled(PAGED, "llama-3.2-1b decode, batch 32", 512, 16, 32, 8, 64),
        ),
    ),
    formula="out[pages_of[b], slots[b]] = given[b]; all else as in pool. No two sequences share a "
    "page.",
)
paged_gather = indexed(
    "paged_gather",
    "caches",
    axes("pages page_size blocks batch heads head_dim"),
    (
        Tensor("pool", ("pages", "page_size", "heads", "head_dim")),
        Tensor(
            "table", ("batch", "blocks"), "int32", Custom(lambda r, s, d, z, v: _table(r, s, z))
        ),
    ),
    (Tensor("out", ("batch", "blocks", "page_size", "heads", "head_dim"), match=Exact()),),
    np=lambda pool, table: np.where(
        (table >= 0)[..., None, None, None], pool[np.maximum(table, 0)], 0.0
    ),
    mlx="mx.where((table >= 0)[..., None, None, None], pool[mx.maximum(table, 0)], "
    "mx.array(0, dtype=dtype))",
    metal="""
const uint page = page_size * heads * head_dim;
const int from = table[i / page];
out[i] = from < 0 ? T(0) : pool[uint(from) * page + i % page];
""",
    flops="0",
    # Of so many pages drawn so often, more than this many differ on average.
    bytes="(batch * blocks + pages * batch * blocks // max(1, pages + batch * blocks)) * page_size "
    "* heads * head_dim * itemsize + 4 * batch * blocks",
    constraints=("1 <= pages",),
    cases=(
        cases(
            "pages page_size blocks batch heads head_dim", (2, 2, 1, 1, 1, 2), (8, 4, 3, 2, 2, 8)
        ),
        cases(
            "pages page_size blocks batch heads head_dim",
            *(
                (1, 1, 1, 1, 1, 1),
                (3, 2, 0, 2, 1, 4),
                (7, 16, 5, 3, 2, 5),
                (17, 8, 3, 2, 3, 33),
                (9, 3, 2, 1, 1, 31),
            ),
        ),
        (
            labelled(
                "pages page_size blocks batch heads head_dim",
                "smollm2-135m, 1 sequence of 512 keys",
                *(64, 16, 32, 1, 3, 64),
            ),
            labelled(
                "pages page_size blocks batch heads head_dim",
                "llama-3.2-1b, 8 sequences of 512 keys",
                *(256, 16, 32, 8, 8, 64),
            ),
        ),
    ),
    formula="out[b, j] = pool[table[b, j]], the pages of a sequence in order; zeros where the "
    "table has -1.",
)
ZIGZAG = "batch shards each cols"


def _zigzag(x: Any, forward: bool) -> Any:
    shards = x.shape[1]
    order = np.array([s // 2 if s % 2 == 0 else shards - 1 - s // 2 for s in range(shards)], int)
    return x[:, order if forward else np.argsort(order)]


ZIGZAG_CASES = (
    cases(ZIGZAG, (1, 2, 1, 2), (2, 4, 3, 8), (1, 8, 4, 32)),
    cases(ZIGZAG, (0, 2, 1, 2), (3, 2, 0, 2), (1, 6, 5, 31), (2, 16, 7, 33), (3, 10, 1, 1)),
    (
        labelled(ZIGZAG, "smollm2-135m, 256 tokens over 4 ranks", 1, 8, 32, 576),
        labelled(ZIGZAG, "llama-3.2-1b, 4096 tokens over 4 ranks", 1, 8, 512, 2048),
        labelled(ZIGZAG, "llama-3.2-1b, 8192 tokens over 8 ranks", 1, 16, 512, 2048),
    ),
)
SHARDED = Tensor("x", ("batch", "shards", "each", "cols"))
zigzag_permute = indexed(
    "zigzag_permute",
    "movement",
    axes("batch", Axis("shards", multiple_of=2, least=2), "each cols"),
    (SHARDED,),
    (Tensor("out", ("batch", "shards", "each", "cols"), match=Exact()),),
    np=lambda x: _zigzag(x, True),
    mlx="""
steps = mx.arange(shards)
order = mx.where(steps % 2 == 0, steps // 2, shards - 1 - steps // 2)
return x[:, order]
""",
    metal="""
const uint shard = i / (each * cols) % shards;
const uint from = shard % 2 == 0 ? shard / 2 : shards - 1 - shard / 2;
out[i] = x[i + (from - shard) * each * cols];
""",
    flops="0",
    cases=ZIGZAG_CASES,
    formula="out[b, s] = x[b, s / 2] for even s and x[b, shards - 1 - s / 2] for odd s: each rank "
    "of a causal context-parallel attention gets an early shard and a late one.",
)
zigzag_restore = indexed(
    "zigzag_restore",
    "movement",
    axes("batch", Axis("shards", multiple_of=2, least=2), "each cols"),
    (SHARDED,),
    (Tensor("out", ("batch", "shards", "each", "cols"), match=Exact()),),
    np=lambda x: _zigzag(x, False),
    mlx="""
steps = mx.arange(shards)
order = mx.where(steps < shards // 2, 2 * steps, 2 * (shards - 1 - steps) + 1)
return x[:, order]
""",
    metal="""
const uint shard = i / (each * cols) % shards;
const uint from = shard < shards / 2 ? 2 * shard : 2 * (shards - 1 - shard) + 1;
out[i] = x[i + (from - shard) * each * cols];
""",
    flops="0",
    cases=ZIGZAG_CASES,
    formula="The inverse of zigzag_permute: out[b, s] = x[b, 2 s] for the first half of the shards "
    "and x[b, 2 (shards - 1 - s) + 1] for the second.",
)


def _slots(rng: Any, shape: Any, sizes: Any) -> Any:
    return rng.integers(0, sizes["page_size"], shape).astype(np.uint32)


def _table(rng: Any, shape: Any, sizes: Any) -> Any:
    return rng.integers(-1, sizes["pages"], shape).astype(np.int32)


def _paged_append(pool: Any, given: Any, pages_of: Any, slots: Any) -> Any:
    found = pool.copy()
    found[pages_of, slots] = given
    return found
