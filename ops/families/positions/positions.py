"""Tables and biases that tell attention where things stand."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.declaring.cases import cases, labelled
from ops.families.forms.indexed import indexed
from ops.families.positions.rotary import BASE
from ops.fills import Int
from ops.matches import Close
from ops.parameters import Range
from ops.workload import Tensor

TABLE = "seq pairs"
BIAS = "batch heads q_len kv_len"
PLACES = Tensor("position", ("seq",), "int32", Int(0, 131_072))
TABLE_AXES = axes("seq", Axis("pairs", compiled=True, tried_to=256))
TABLES = (
    cases(TABLE, (2, 1), (4, 8), (7, 32), (16, 64)),
    cases(TABLE, (0, 4), (1, 1), (3, 0), (67, 3), (5, 31), (129, 17), (2, 257)),
    (
        labelled(TABLE, "llama-3.2-1b, 512 positions", 512, 32),
        labelled(TABLE, "qwen3-0.6b, 32768 positions", 32768, 64),
        labelled(TABLE, "llama-3.1-8b, 131072 positions", 131_072, 64),
    ),
)
TURNS = (
    Tensor("cosine", ("seq", "pairs"), match=Close(2)),
    Tensor("sine", ("seq", "pairs"), match=Close(2)),
)


def _ntk(position: Any, pairs: int, base: float, factor: float) -> Any:
    grown = base * factor ** (2 * pairs / max(2 * pairs - 2, 1)) if pairs > 1 else base
    angle = position[:, None] * grown ** (-np.arange(pairs) / max(pairs, 1))
    return np.cos(angle), np.sin(angle)


rope_table_ntk = indexed(
    "rope_table_ntk",
    "positional",
    TABLE_AXES,
    (PLACES,),
    TURNS,
    np=_ntk,
    mlx="""
grown = base * factor ** (2 * pairs / max(2 * pairs - 2, 1)) if pairs > 1 else base
frequency = mx.exp(mx.arange(pairs, dtype=mx.float32) * (-math.log(grown) / pairs))
angle = position.astype(mx.float32)[:, None] * frequency
return mx.cos(angle).astype(dtype), mx.sin(angle).astype(dtype)
""",
    metal="""
const uint pair = i % pairs;
const float power = pairs > 1 ? float(pairs) / float(pairs - 1) : 0.0f;
const float exponent = -(log2(base) + power * log2(factor)) * (float(pair) / float(pairs));
const float angle = float(position[i / pairs]) * exp2(exponent);
cosine[i] = T(cos(angle));
sine[i] = T(sin(angle));
""",
    flops="seq * pairs * 16",
    params={"base": 10000.0, "factor": 1.0},
    ranges={"base": BASE, "factor": Range(1.0, 32.0, usual=(1.0, 4.0, 8.0))},
    cases=(
        (*TABLES[0], *cases(TABLE, (5, 16), base=500000.0, factor=4.0)),
        (*TABLES[1], *cases(TABLE, (9, 33), base=100000.0, factor=8.0)),
        TABLES[2],
    ),
    formula="With d = 2 pairs and a longer base b = base factor^(d / (d - 2)) (base itself where "
    "there is one pair): angle = position[t] b^(-i / pairs); cosine and sine of it. factor = 1 is "
    "the plain table.",
)


def _yarn(position: Any, pairs: int, base: float, factor: float, low: int, high: int) -> Any:
    place = np.arange(pairs)
    plain = base ** (-place / max(pairs, 1))
    ramp = np.clip((place - low) / max(high - low, 1), 0.0, 1.0)
    angle = position[:, None] * (plain / factor * ramp + plain * (1.0 - ramp))
    return np.cos(angle), np.sin(angle)


rope_table_yarn = indexed(
    "rope_table_yarn",
    "positional",
    TABLE_AXES,
    (PLACES,),
    TURNS,
    np=_yarn,
    mlx="""
place = mx.arange(pairs, dtype=mx.float32)
plain = mx.exp(place * (-math.log(base) / pairs))
ramp = mx.clip((place - low) / max(high - low, 1), 0, 1)
angle = position.astype(mx.float32)[:, None] * (plain / factor * ramp + plain * (1 - ramp))
return mx.cos(angle).astype(dtype), mx.sin(angle).astype(dtype)
""",
    metal="""
const uint pair = i % pairs;
const float plain = exp2(-log2(base) * (float(pair) / float(pairs)));
const float share = float(int(pair) - low) / float(max(high - low, 1));
const float ramp = clamp(share, 0.0f, 1.0f);
const float angle = float(position[i / pairs]) * (plain / factor * ramp + plain * (1.0f - ramp));
cosine[i] = T(cos(angle));
sine[i] = T(sin(angle));
""",
    flops="seq * pairs * 20",
    params={"base": 10000.0, "factor": 4.0, "low": 2, "high": 6},
    ranges={
        "base": BASE,
        "factor": Range(1.0, 64.0, usual=(4.0, 40.0)),
        "low": Range(0, 32, usual=(2, 10, 20)),
        "high": Range(0, 128, usual=(6, 23, 45)),
    },
    cases=(
        (*TABLES[0], *cases(TABLE, (5, 16), base=500000.0, factor=40.0, low=4, high=9)),
        (*TABLES[1], *cases(TABLE, (9, 33), base=100000.0, factor=8.0, low=20, high=3)),
        TABLES[2],
    ),
    formula="f = base^(-i / pairs), ramp = (i - low) / max(high - low, 1) held within 0 and 1; "
    "angle = position[t] (f / factor ramp + f (1 - ramp)); cosine and sine of it: YaRN keeps the "
    "fast pairs and slows the others.",
)
SCORES = Tensor("x", ("batch", "heads", "q_len", "kv_len"))
BIASED = (
    cases(BIAS, (1, 1, 1, 1), (1, 4, 8, 8), (2, 3, 5, 16), (1, 8, 1, 64)),
    cases(BIAS, (0, 2, 3, 4), (1, 2, 0, 4), (1, 9, 7, 31), (3, 5, 33, 2), (1, 2, 67, 129)),
    (
        labelled(BIAS, "bloom-560m decode, 1024 keys", 1, 16, 1, 1024),
        labelled(BIAS, "mpt-7b prefill 128", 1, 32, 128, 128),
    ),
)
alibi_bias = indexed(
    "alibi_bias",
    "positional",
    axes(BIAS),
    (SCORES,),
    (Tensor("out", ("batch", "heads", "q_len", "kv_len"), match=Close(2)),),
    np=lambda x, heads, q_len, kv_len: (
        x
        + 2.0 ** (-8.0 * (np.arange(heads) + 1) / heads)[:, None, None]
        * (np.arange(kv_len) - np.arange(q_len)[:, None] - (kv_len - q_len))
    ),
    mlx="""
slope = mx.power(2.0, -8 * (mx.arange(heads, dtype=mx.float32) + 1) / heads)[:, None, None]
apart = mx.arange(kv_len) - mx.arange(q_len)[:, None] - (kv_len - q_len)
return (x.astype(mx.float32) + slope * apart).astype(dtype)
""",
    metal="""
const uint head = i / (kv_len * q_len) % heads;
const int apart = int(i % kv_len) - int(i / kv_len % q_len) - (int(kv_len) - int(q_len));
out[i] = T(float(x[i]) + exp2(-8.0f * float(head + 1) / float(heads)) * float(apart));
""",
    flops="2 * batch * heads * q_len * kv_len",
    cases=BIASED,
    formula="out[b, h, i, j] = x[b, h, i, j] + 2^(-8 (h + 1) / heads) (j - i - (kv_len - q_len)): "
    "the last query stands at the last key.",
)
T5 = "heads q_len kv_len buckets"


def _bucket(apart: Any, buckets: int, furthest: int, one_way: bool) -> Any:
    count = buckets if one_way else buckets // 2
    away = np.maximum(-apart, 0) if one_way else np.abs(apart)
    exact = count // 2
    share = np.log(np.maximum(away, 1) / exact) / np.log(max(furthest, exact + 1) / exact)
    far = exact + np.floor(share * (count - exact) + 1e-5)
    near = np.where(away < exact, away, np.minimum(far, count - 1))
    return (near + np.where((apart > 0) & (not one_way), count, 0)).astype(np.int64)


def _t5(table: Any, q_len: int, kv_len: int, buckets: int, furthest: int, one_way: bool) -> Any:
    apart = np.arange(kv_len)[None] - np.arange(q_len)[:, None] - (kv_len - q_len)
    return table[:, _bucket(apart, buckets, furthest, one_way)]


t5_bias = indexed(
    "t5_bias",
    "positional",
    axes(
        "heads",
        Axis("q_len", compiled=True, tried_to=512),
        Axis("kv_len", compiled=True, tried_to=512),
        Axis("buckets", multiple_of=4, least=4),
    ),
    (Tensor("table", ("heads", "buckets")),),
    (Tensor("out", ("heads", "q_len", "kv_len")),),
    np=_t5,
    mlx="""
apart = mx.arange(kv_len)[None] - mx.arange(q_len)[:, None] - (kv_len - q_len)
several = buckets if one_way else buckets // 2
exact = several // 2
away = mx.maximum(-apart, 0) if one_way else mx.abs(apart)
widest = math.log(max(furthest, exact + 1) / exact)
share = mx.log(mx.maximum(away, 1).astype(mx.float32) / exact) / widest
far = mx.minimum(exact + mx.floor(share * (several - exact) + 1e-5).astype(mx.int32), several - 1)
bucket = mx.where(away < exact, away, far) + (0 if one_way else mx.where(apart > 0, several, 0))
return mx.take(table, bucket, axis=1)
""",
    metal="""
const uint head = i / (kv_len * q_len);
const int apart = int(i % kv_len) - int(i / kv_len % q_len) - (int(kv_len) - int(q_len));
const int several = one_way ? int(buckets) : int(buckets) / 2;
const int exact = several / 2;
const int away = one_way ? max(-apart, 0) : abs(apart);
const float widest = log(float(max(int(furthest), exact + 1)) / float(exact));
const float share = log(float(max(away, 1)) / float(exact)) / widest;
const int far = min(exact + int(floor(share * float(several - exact) + 1e-5f)), several - 1);
const int after = !one_way && apart > 0 ? several : 0;
out[i] = table[head * buckets + (away < exact ? away : far) + after];
""",
    count="heads * q_len * kv_len",
    flops="heads * q_len * kv_len * 12",
    params={"furthest": 128, "one_way": False},
    ranges={"furthest": Range(96, 4096, usual=(128, 256))},
    cases=(
        (
            *cases(T5, (1, 1, 1, 4), (2, 8, 8, 32), (4, 5, 16, 32)),
            *cases(T5, (1, 16, 64, 16), furthest=192),
            *cases(T5, (2, 9, 33, 32), one_way=True),
        ),
        (
            *cases(T5, (0, 3, 4, 32), (2, 0, 4, 32), (9, 31, 7, 32), (2, 3, 257, 64)),
            *cases(T5, (1, 67, 129, 8), furthest=256),
            *cases(T5, (3, 5, 301, 32), one_way=True),
            *cases(T5, (1, 3, 260, 512)),
        ),
        (
            labelled(T5, "t5-base decoder step, 256 tokens", 12, 1, 256, 32, one_way=True),
            labelled(T5, "t5-base encoder, 128 tokens", 12, 128, 128, 32),
        ),
    ),
    formula="out[h, i, j] = table[h, bucket of j - i - (kv_len - q_len)], buckets as in T5. "
    "Both ways (its encoder): with n = buckets / 2, e = n / 2 and a = |d|, a itself below e, else "
    "e + floor(log(a / e) / log(max(furthest, e + 1) / e) (n - e) + 1e-5), n - 1 at most; n more "
    "where d > 0. One way (its decoder): n = buckets, a = max(-d, 0), and no more.",
)
sinusoidal = indexed(
    "sinusoidal",
    "positional",
    TABLE_AXES,
    (PLACES,),
    (Tensor("out", ("seq", "2 * pairs"), match=Close(2)),),
    np=lambda position, pairs, base: (lambda a: np.concatenate([np.sin(a), np.cos(a)], axis=-1))(
        position[:, None] * base ** (-np.arange(pairs) / max(pairs, 1))
    ),
    mlx="""
frequency = mx.exp(mx.arange(pairs, dtype=mx.float32) * (-math.log(base) / pairs))
angle = position.astype(mx.float32)[:, None] * frequency
return mx.concatenate([mx.sin(angle), mx.cos(angle)], axis=-1).astype(dtype)
""",
    metal="""
const uint pair = i % pairs;
const uint row = i / pairs;
const float angle = float(position[row]) * exp2(-log2(base) * (float(pair) / float(pairs)));
out[row * 2 * pairs + pair] = T(sin(angle));
out[row * 2 * pairs + pairs + pair] = T(cos(angle));
""",
    count="seq * pairs",
    flops="seq * pairs * 14",
    params={"base": 10000.0},
    ranges={"base": BASE},
    cases=(
        (*TABLES[0], *cases(TABLE, (5, 16), base=500000.0)),
        (*TABLES[1], *cases(TABLE, (9, 33), base=100000.0)),
        TABLES[2],
    ),
    formula="angle = position[t] base^(-i / pairs); out[t] is the sines, then the cosines.",
)
