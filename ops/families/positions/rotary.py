"""Rotary embeddings with what stands around them: both projections, a cache, a part of the head."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.matches import Close
from ops.parameters import Range
from ops.workload import Tensor

BASE = Range(100.0, 1e7, usual=(10_000.0, 100_000.0, 500_000.0, 1_000_000.0))
OFFSET = Range(0, 131_072, usual=(0, 1, 2048, 2049, 32_768))
TURN = {"base": 10000.0, "offset": 0}
TURNS = {"base": BASE, "offset": OFFSET}
HEAD = Axis("head_dim", multiple_of=2, least=2)
PAIRS = "batch heads seq head_dim"
QK = "batch heads kv_heads seq head_dim"
APPEND = "batch heads kv_heads cache head_dim"
MLA = "batch heads latent rotary"
SINCOS = """
inline float angle_of(uint pair, uint pairs, int position, float base) {
  return float(position) * exp2(-log2(base) * (float(pair) / float(pairs)));
}
"""
TURNED_MLX = """
def turned(x, position, interleaved):
    half = x.shape[-1] // 2
    frequency = mx.exp(mx.arange(half, dtype=mx.float32) * (-math.log(base) / half))
    angle = position.astype(mx.float32)[:, None] * frequency
    cos, sin = mx.cos(angle), mx.sin(angle)
    wide = x.astype(mx.float32)
    pairs = wide.reshape(list(wide.shape[:-1]) + [half, 2])
    first = pairs[..., 0] if interleaved else wide[..., :half]
    second = pairs[..., 1] if interleaved else wide[..., half:]
    a, b = first * cos - second * sin, first * sin + second * cos
    apart = mx.concatenate([a, b], axis=-1)
    return (mx.stack([a, b], axis=-1).reshape(wide.shape) if interleaved else apart).astype(dtype)
"""


def turned(x: Any, position: Any, base: float, interleaved: bool = False, way: int = 1) -> Any:
    """Pairs of the last axis turned by the angle of their position, one along the axis before."""
    half = x.shape[-1] // 2
    frequency = base ** (-np.arange(half) / half)
    # Ones of the kind of x: where its rounding is looked into, so is that of the angles.
    angle = position[:, None] * (np.ones_like(x, shape=half) * frequency)
    cos, sin = np.cos(angle), way * np.sin(angle)
    first, second = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    a, b = first * cos - second * sin, first * sin + second * cos
    if interleaved:
        return np.stack([a, b], axis=-1).reshape(x.shape)
    return np.concatenate([a, b], axis=-1)


ROTATED = (
    (
        *cases(PAIRS, (1, 1, 1, 2), (1, 2, 4, 8), (2, 3, 5, 16), (1, 4, 16, 64)),
        *cases(PAIRS, (1, 3, 7, 32), base=500000.0, offset=5),
    ),
    (
        *cases(PAIRS, (0, 2, 3, 8), (1, 2, 0, 8), (3, 1, 31, 6), (1, 5, 33, 10), (2, 3, 129, 30)),
        *cases(PAIRS, (1, 11, 1, 64), base=100000.0, offset=511),
        *cases(PAIRS, (2, 7, 3, 258), base=1000000.0, offset=1023),
    ),
    (
        labelled(PAIRS, "smollm2-135m decode, queries", 1, 9, 1, 64, base=100000.0, offset=511),
        labelled(PAIRS, "glm-4-9b decode, queries", 1, 32, 1, 64, offset=2047),
        labelled(PAIRS, "smollm2-135m prefill 128, queries", 1, 9, 128, 64, base=100000.0),
        labelled(PAIRS, "llama-3.2-1b prefill 512, queries", 1, 32, 512, 64, base=500000.0),
    ),
)
X = Tensor("x", ("batch", "heads", "seq", "head_dim"))
_PAIR = """
const uint pairs = head_dim / 2;
const uint pair = i % pairs;
const uint row = i / pairs;
const float angle = angle_of(pair, pairs, int(row % seq) + offset, base);
"""
rope_interleaved = indexed(
    "rope_interleaved",
    "positional",
    axes("batch heads seq", HEAD),
    (X,),
    (Tensor("out", ("batch", "heads", "seq", "head_dim"), match=Close(2)),),
    np=lambda x, base, offset: turned(x, np.arange(x.shape[2]) + offset, base, True),
    mlx={
        "in float32": f"{TURNED_MLX}return turned(x, mx.arange(seq) + offset, True)",
        "mx.fast.rope": "mx.fast.rope("
        "x, head_dim, traditional=True, base=base, scale=1.0, offset=offset)",
    },
    metal=f"""{_PAIR}
const float first = float(x[2 * i]);
const float second = float(x[2 * i + 1]);
out[2 * i] = T(first * cos(angle) - second * sin(angle));
out[2 * i + 1] = T(first * sin(angle) + second * cos(angle));
""",
    helpers=SINCOS,
    count="batch * heads * seq * (head_dim // 2)",
    flops="3 * batch * heads * seq * head_dim",
    params=TURN,
    ranges=TURNS,
    cases=ROTATED,
    formula="Rotary embedding of neighbouring elements: with a = (t + offset) base^(-2 i / "
    "head_dim), out[.., 2 i] = x[.., 2 i] cos(a) - x[.., 2 i + 1] sin(a) and out[.., 2 i + 1] = "
    "x[.., 2 i] sin(a) + x[.., 2 i + 1] cos(a).",
)
rope_vjp = indexed(
    "rope_vjp",
    "positional",
    axes("batch heads seq", Axis("head_dim", multiple_of=2, least=2, compiled=True, tried_to=256)),
    (Tensor("dout", ("batch", "heads", "seq", "head_dim")),),
    (Tensor("dx", ("batch", "heads", "seq", "head_dim"), match=Close(2)),),
    np=lambda dout, base, offset: turned(dout, np.arange(dout.shape[2]) + offset, base, False, -1),
    mlx={
        "in float32": f"{TURNED_MLX}return turned(dout, -(mx.arange(seq) + offset), False)",
        "mx.fast.rope": "mx.fast.rope("
        "dout, head_dim, traditional=False, base=base, scale=-1.0, offset=offset)",
    },
    metal=f"""{_PAIR}
const uint at = row * head_dim + pair;
const float first = float(dout[at]);
const float second = float(dout[at + pairs]);
dx[at] = T(first * cos(angle) + second * sin(angle));
dx[at + pairs] = T(second * cos(angle) - first * sin(angle));
""",
    helpers=SINCOS,
    count="batch * heads * seq * (head_dim // 2)",
    flops="3 * batch * heads * seq * head_dim",
    params=TURN,
    ranges=TURNS,
    cases=ROTATED,
    formula="The gradient of `rope`: dout turned back, by the angles of `rope` negated.",
    gradient_of="rope",
)
rope_qk = indexed(
    "rope_qk",
    "positional",
    axes("batch heads kv_heads seq", HEAD),
    (
        Tensor("q", ("batch", "heads", "seq", "head_dim")),
        Tensor("k", ("batch", "kv_heads", "seq", "head_dim")),
    ),
    (
        Tensor("q_out", ("batch", "heads", "seq", "head_dim"), match=Close(2)),
        Tensor("k_out", ("batch", "kv_heads", "seq", "head_dim"), match=Close(2)),
    ),
    np=lambda q, k, base, offset: (
        turned(q, np.arange(q.shape[2]) + offset, base),
        turned(k, np.arange(k.shape[2]) + offset, base),
    ),
    mlx={
        "in float32": f"{TURNED_MLX}at = mx.arange(seq) + offset\n"
        "return turned(q, at, False), turned(k, at, False)",
        "mx.fast.rope": """
def turned(x):
    return mx.fast.rope(x, head_dim, traditional=False, base=base, scale=1.0, offset=offset)
return turned(q), turned(k)
""",
    },
    metal="""
const uint pairs = head_dim / 2;
const uint pair = i % pairs;
const uint row = i / pairs;
const uint queries = batch * heads * seq;
const bool is_key = row >= queries;
const uint own = is_key ? row - queries : row;
const float angle = angle_of(pair, pairs, int(own % seq) + offset, base);
const uint at = own * head_dim + pair;
const float first = is_key ? float(k[at]) : float(q[at]);
const float second = is_key ? float(k[at + pairs]) : float(q[at + pairs]);
auto to = is_key ? k_out : q_out;
to[at] = T(first * cos(angle) - second * sin(angle));
to[at + pairs] = T(first * sin(angle) + second * cos(angle));
""",
    helpers=SINCOS,
    count="batch * (heads + kv_heads) * seq * (head_dim // 2)",
    flops="3 * batch * (heads + kv_heads) * seq * head_dim",
    params=TURN,
    ranges=TURNS,
    cases=(
        (
            *cases(QK, (1, 1, 1, 1, 2), (1, 2, 1, 4, 8), (2, 3, 1, 5, 16), (1, 4, 2, 16, 64)),
            *cases(QK, (1, 3, 3, 7, 32), base=500000.0, offset=5),
        ),
        (
            *cases(QK, (0, 2, 1, 3, 8), (1, 2, 1, 0, 8), (3, 1, 2, 31, 6), (1, 5, 5, 33, 10)),
            *cases(QK, (1, 11, 3, 1, 64), base=100000.0, offset=511),
            *cases(QK, (2, 0, 3, 17, 130), offset=77),
        ),
        (
            labelled(QK, "smollm2-135m decode", 1, 9, 3, 1, 64, base=100000.0, offset=511),
            labelled(QK, "qwen3-0.6b decode", 1, 16, 8, 1, 128, base=1000000.0, offset=1023),
            labelled(QK, "llama-3.2-1b prefill 512", 1, 32, 8, 512, 64, base=500000.0),
        ),
    ),
    formula="`rope` of queries and of keys, which have fewer heads, in one launch: q_out and "
    "k_out.",
)
CACHE = ("batch", "kv_heads", "cache", "head_dim")


def _append(q: Any, k: Any, v: Any, keys: Any, seen: Any, base: float, offset: int) -> Any:
    at, row = np.array([offset]), offset % keys.shape[2]
    new_keys, new_values = keys.copy(), seen.copy()
    new_keys[:, :, row] = turned(k, at, base)[:, :, 0]
    new_values[:, :, row] = v[:, :, 0]
    return turned(q, at, base), new_keys, new_values


rope_kv_append = indexed(
    "rope_kv_append",
    "caches",
    axes("batch heads kv_heads", Axis("cache", least=1), HEAD),
    (
        Tensor("q", ("batch", "heads", "1", "head_dim")),
        Tensor("k", ("batch", "kv_heads", "1", "head_dim")),
        Tensor("v", ("batch", "kv_heads", "1", "head_dim")),
        Tensor("keys", CACHE),
        Tensor("values_seen", CACHE),
    ),
    (
        Tensor("q_out", ("batch", "heads", "1", "head_dim"), match=Close(2)),
        Tensor("keys_out", CACHE, match=Close(2), continues="keys"),
        Tensor("values_out", CACHE, continues="values_seen"),
    ),
    np=_append,
    mlx={
        "in float32": f"""{TURNED_MLX}
at = mx.full((1,), offset)
here = (mx.arange(cache) == offset % cache)[:, None]
keys_out = mx.where(here, turned(k, at, False), keys)
return turned(q, at, False), keys_out, mx.where(here, v, values_seen)
""",
        "mx.fast.rope": """
def turned(x):
    return mx.fast.rope(x, head_dim, traditional=False, base=base, scale=1.0, offset=offset)
row = mx.array([offset % cache])
keys_out = mx.slice_update(keys, turned(k), row, axes=[2])
return turned(q), keys_out, mx.slice_update(values_seen, v, row, axes=[2])
""",
    },
    metal="""
const uint pairs = head_dim / 2;
const uint pair = i % pairs;
const uint row = i / pairs;
const uint cached = batch * kv_heads * cache;
if (row < cached) {
  const uint at = row * head_dim + pair;
  if (row % cache == uint(offset) % cache) {
    const float angle = angle_of(pair, pairs, offset, base);
    const uint from = row / cache * head_dim + pair;
    const float first = float(k[from]);
    const float second = float(k[from + pairs]);
    keys_out[at] = T(first * cos(angle) - second * sin(angle));
    keys_out[at + pairs] = T(first * sin(angle) + second * cos(angle));
    values_out[at] = v[from];
    values_out[at + pairs] = v[from + pairs];
  } else {
    keys_out[at] = keys[at];
    keys_out[at + pairs] = keys[at + pairs];
    values_out[at] = values_seen[at];
    values_out[at + pairs] = values_seen[at + pairs];
  }
} else {
  const float angle = angle_of(pair, pairs, offset, base);
  const uint at = (row - cached) * head_dim + pair;
  const float first = float(q[at]);
  const float second = float(q[at + pairs]);
  q_out[at] = T(first * cos(angle) - second * sin(angle));
  q_out[at + pairs] = T(first * sin(angle) + second * cos(angle));
}
""",
    helpers=SINCOS,
    count="batch * (kv_heads * cache + heads) * (head_dim // 2)",
    flops="3 * batch * (heads + kv_heads) * head_dim",
    bytes="2 * batch * (heads + 2 * kv_heads) * head_dim * itemsize",
    params=TURN,
    ranges=TURNS,
    cases=(
        (
            *cases(APPEND, (1, 1, 1, 1, 2), (1, 2, 1, 4, 8), (2, 4, 2, 8, 64)),
            *cases(APPEND, (1, 3, 1, 16, 32), base=500000.0, offset=15),
        ),
        (
            *cases(APPEND, (0, 2, 1, 3, 8), (1, 0, 2, 31, 6), (2, 3, 0, 5, 6), (67, 1, 1, 2, 2)),
            *cases(APPEND, (3, 5, 2, 7, 10), offset=3),
            *cases(APPEND, (1, 9, 3, 33, 64), base=100000.0, offset=131),
            *cases(APPEND, (2, 2, 2, 1, 130), offset=77),
        ),
        (
            labelled(APPEND, "smollm2-135m decode", 1, 9, 3, 1024, 64, base=100000.0, offset=511),
            labelled(APPEND, "qwen3-0.6b decode", 1, 16, 8, 2048, 128, base=1000000.0, offset=1023),
            labelled(
                APPEND,
                "llama-3.1-8b decode, batch 8",
                8,
                32,
                8,
                512,
                128,
                base=500000.0,
                offset=300,
            ),
        ),
    ),
    formula="One decoded token a sequence, at position `offset`: q_out is `rope` of q; row "
    "offset % cache of keys_out is `rope` of k, and that of values_out is v; every other row is "
    "that of keys and values_seen.",
)


def _mla(q: Any, q_turned: Any, c: Any, k_turned: Any, base: float, offset: int) -> Any:
    at = np.array([offset])
    q_part = turned(q_turned[:, :, None], at, base, True)[:, :, 0]
    k_part = turned(k_turned[:, None], at, base, True)[:, 0]
    return np.concatenate([q, q_part], axis=-1), np.concatenate([c, k_part], axis=-1)


rope_mla = indexed(
    "rope_mla",
    "positional",
    axes("batch heads", Axis("latent", multiple_of=2), Axis("rotary", multiple_of=2, least=2)),
    (
        Tensor("q", ("batch", "heads", "latent")),
        Tensor("q_turned", ("batch", "heads", "rotary")),
        Tensor("c", ("batch", "latent")),
        Tensor("k_turned", ("batch", "rotary")),
    ),
    (
        Tensor("q_out", ("batch", "heads", "latent + rotary"), match=Close(2)),
        Tensor("k_out", ("batch", "latent + rotary"), match=Close(2)),
    ),
    np=_mla,
    mlx={
        "in float32": f"""{TURNED_MLX}
at = mx.full((1,), offset)
q_part = turned(q_turned[:, :, None], at, True)[:, :, 0]
k_part = turned(k_turned[:, None], at, True)[:, 0]
return mx.concatenate([q, q_part], axis=-1), mx.concatenate([c, k_part], axis=-1)
""",
        "mx.fast.rope": """
def turned(x):
    return mx.fast.rope(x, rotary, traditional=True, base=base, scale=1.0, offset=offset)
q_part, k_part = turned(q_turned[:, :, None])[:, :, 0], turned(k_turned[:, None, None])[:, 0, 0]
return mx.concatenate([q, q_part], axis=-1), mx.concatenate([c, k_part], axis=-1)
""",
    },
    metal="""
const uint width = latent + rotary;
const uint element = 2 * (i % (width / 2));
const uint row = i / (width / 2);
const uint queries = batch * heads;
const bool is_key = row >= queries;
const uint own = is_key ? row - queries : row;
auto to = (is_key ? k_out : q_out) + own * width + element;
if (element < latent) {
  // A small array lies in constant memory: values are chosen, for pointers to both are no type.
  const uint at = own * latent + element;
  to[0] = is_key ? T(c[at]) : T(q[at]);
  to[1] = is_key ? T(c[at + 1]) : T(q[at + 1]);
} else {
  const uint pair = (element - latent) / 2;
  const uint at = own * rotary + 2 * pair;
  const float angle = angle_of(pair, rotary / 2, offset, base);
  const float first = is_key ? float(k_turned[at]) : float(q_turned[at]);
  const float second = is_key ? float(k_turned[at + 1]) : float(q_turned[at + 1]);
  to[0] = T(first * cos(angle) - second * sin(angle));
  to[1] = T(first * sin(angle) + second * cos(angle));
}
""",
    helpers=SINCOS,
    count="batch * (heads + 1) * ((latent + rotary) // 2)",
    flops="3 * batch * (heads + 1) * rotary",
    params=TURN,
    ranges=TURNS,
    cases=(
        (
            *cases(MLA, (1, 1, 2, 2), (2, 4, 16, 8), (1, 3, 64, 32)),
            *cases(MLA, (3, 2, 32, 16), base=500000.0, offset=9),
        ),
        (
            *cases(MLA, (0, 2, 8, 4), (2, 0, 8, 4), (1, 2, 0, 6), (31, 7, 30, 10), (33, 2, 2, 2)),
            *cases(MLA, (1, 20, 130, 66), base=100000.0, offset=511),
            *cases(MLA, (67, 1, 2, 2), offset=1),
        ),
        (
            labelled(MLA, "deepseek-v2-lite decode", 1, 16, 512, 64, offset=1023),
            labelled(MLA, "glm-4.7-flash decode", 1, 20, 512, 64, base=1000000.0, offset=2047),
            labelled(MLA, "deepseek-v3 decode, batch 8", 8, 128, 512, 64, offset=4095),
        ),
    ),
    formula="A decoded token of multi-head latent attention at position `offset`: q_out is q, then "
    "`rope_interleaved` of q_turned; k_out is c, then that of k_turned, one for all heads.",
)
