"""Rotary embedding and a cache in pages: a token of every sequence, where its table says."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.positions.rotary import BASE, HEAD, SINCOS, TURNED_MLX
from ops.fills import Custom, Distinct
from ops.matches import Close
from ops.workload import Tensor

AXES = "pages page_size blocks batch heads kv_heads head_dim"
POOL = ("pages", "page_size", "kv_heads", "head_dim")


def _positions(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """How many keys a sequence has already: its next one still finds a page."""
    return rng.integers(0, sizes["blocks"] * sizes["page_size"], shape).astype(np.int32)


def _turned(x: Any, position: Any, base: float) -> Any:
    half = x.shape[-1] // 2
    frequency = base ** (-np.arange(half) / half)
    angle = (position[:, None] * (np.ones_like(x, shape=half) * frequency))[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def _append(
    q: Any, k: Any, v: Any, keys: Any, seen: Any, table: Any, position: Any, base: float
) -> Any:
    size = keys.shape[1]
    page, slot = table[np.arange(len(q)), position // size], position % size
    new_keys, new_values = keys.copy(), seen.copy()
    new_keys[page, slot] = _turned(k, position, base)
    new_values[page, slot] = v
    return _turned(q, position, base), new_keys, new_values


rope_paged_kv_append = indexed(
    "rope_paged_kv_append",
    "caches",
    axes(
        "pages",
        Axis("page_size", least=1),
        Axis("blocks", least=1),
        "batch heads kv_heads",
        HEAD,
    ),
    (
        Tensor("q", ("batch", "heads", "head_dim")),
        Tensor("k", ("batch", "kv_heads", "head_dim")),
        Tensor("v", ("batch", "kv_heads", "head_dim")),
        Tensor("keys", POOL),
        Tensor("values_seen", POOL),
        Tensor("table", ("batch", "blocks"), "uint32", Distinct("pages")),
        Tensor("position", ("batch",), "int32", Custom(_positions)),
    ),
    (
        Tensor("q_out", ("batch", "heads", "head_dim"), match=Close(2)),
        Tensor("keys_out", POOL, match=Close(2), continues="keys"),
        Tensor("values_out", POOL, continues="values_seen"),
    ),
    np=_append,
    mlx=f"""{TURNED_MLX}
def placed(pool, new):
    page = mx.take_along_axis(table, (position // page_size)[:, None], axis=1)[:, 0]
    at = page * page_size + position % page_size
    where = mx.zeros((pages * page_size,), dtype=mx.int32)
    where[at] = mx.arange(batch) + 1
    picked = mx.concatenate([mx.zeros((1, kv_heads, head_dim), dtype=dtype), new], axis=0)[where]
    rows = pool.reshape(pages * page_size, kv_heads, head_dim)
    return mx.where(where[:, None, None] > 0, picked, rows).reshape(pool.shape)
def of_heads(x):
    return turned(x.swapaxes(0, 1), position, False).swapaxes(0, 1)
return of_heads(q), placed(keys, of_heads(k)), placed(values_seen, v)
""",
    metal="""
const uint pairs = head_dim / 2;
const uint pair = i % pairs;
const uint row = i / pairs;
const uint cached = pages * page_size * kv_heads;
if (row < cached) {
  const uint at = row * head_dim + pair;
  const uint place = row / kv_heads;
  T key_first = keys[at];
  T key_second = keys[at + pairs];
  T value_first = values_seen[at];
  T value_second = values_seen[at + pairs];
  for (uint b = 0; b < batch; ++b) {
    const uint next = uint(position[b]);
    const uint page = table[b * blocks + next / page_size];
    if (page * page_size + next % page_size == place) {
      const float angle = angle_of(pair, pairs, int(next), base);
      const uint from = (b * kv_heads + row % kv_heads) * head_dim + pair;
      const float first = float(k[from]);
      const float second = float(k[from + pairs]);
      key_first = T(first * cos(angle) - second * sin(angle));
      key_second = T(first * sin(angle) + second * cos(angle));
      value_first = v[from];
      value_second = v[from + pairs];
    }
  }
  keys_out[at] = key_first;
  keys_out[at + pairs] = key_second;
  values_out[at] = value_first;
  values_out[at + pairs] = value_second;
} else {
  const uint own = row - cached;
  const float angle = angle_of(pair, pairs, position[own / heads], base);
  const uint at = own * head_dim + pair;
  const float first = float(q[at]);
  const float second = float(q[at + pairs]);
  q_out[at] = T(first * cos(angle) - second * sin(angle));
  q_out[at + pairs] = T(first * sin(angle) + second * cos(angle));
}
""",
    helpers=SINCOS,
    count="(pages * page_size * kv_heads + batch * heads) * (head_dim // 2)",
    flops="3 * batch * (heads + kv_heads) * head_dim",
    bytes="2 * batch * (heads + 2 * kv_heads) * head_dim * itemsize + 8 * batch",
    constraints=("batch * blocks <= pages",),
    params={"base": 10000.0},
    ranges={"base": BASE},
    cases=(
        (
            *cases(AXES, (2, 4, 1, 1, 1, 1, 2), (8, 4, 2, 3, 2, 1, 8), (5, 8, 2, 2, 4, 2, 32)),
            *cases(AXES, (4, 16, 3, 1, 3, 1, 16), base=500000.0),
        ),
        (
            *cases(AXES, (1, 1, 1, 1, 1, 1, 2), (3, 2, 1, 0, 2, 1, 4), (7, 16, 1, 7, 3, 3, 6)),
            *cases(
                AXES,
                (17, 31, 3, 5, 5, 1, 10),
                (9, 3, 9, 1, 0, 2, 6),
                (40, 3, 2, 17, 2, 1, 6),
                (4, 2, 2, 2, 2, 0, 6),
            ),
            *cases(AXES, (33, 8, 4, 8, 4, 2, 34), base=100000.0),
        ),
        (
            labelled(AXES, "smollm2-135m decode", 32, 16, 32, 1, 9, 3, 64, base=100000.0),
            labelled(AXES, "qwen3-0.6b decode, batch 2", 128, 16, 64, 2, 16, 8, 128, base=1e6),
            labelled(
                AXES, "llama-3.2-1b decode, batch 8", 512, 16, 64, 8, 32, 8, 64, base=500000.0
            ),
        ),
    ),
    formula="One decoded token of every sequence b, at place p = position[b]: q_out is `rope` of q "
    "at p; row p % page_size of page table[b, p / page_size] of keys_out is `rope` of k, and that "
    "of values_out is v; every other row is that of keys and values_seen. No two sequences share a "
    "page.",
)
