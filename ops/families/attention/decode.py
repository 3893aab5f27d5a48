"""Attention of one decoded token over a cache: in pages, in 8 bits, in a latent space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ops.axis import Axis, axes
from ops.baselines import Baseline
from ops.declaring.cases import CaseSets, cases, labelled
from ops.fills import Custom, Int, Real
from ops.formulas import softmax_rows
from ops.matches import Close
from ops.parameters import Range
from ops.spec import Op
from ops.workload import Tensor, Workload, param_value

SCALE = {"scale": Range(-1.0, 1.0, usual=(0.0, 0.0625, 0.08838834764831845, 0.125))}
HEAD = Axis("head_dim", least=1, compiled=True, tried_to=256)


def decoded(
    name: str,
    op_axes: tuple[Axis, ...],
    inputs: tuple[Tensor, ...],
    *,
    np: Any,
    mlx: Mapping[str, Baseline | str],
    metal: Mapping[str, str],
    flops: str,
    cases: CaseSets,
    formula: str,
    constraints: tuple[str, ...] = (),
    bytes: str | None = None,
    plain_flops: str | None = None,
    out: tuple[str, ...] = ("batch", "heads", "head_dim"),
) -> Op:
    """An op of one query a head against a cache.

    Args:
        name: Name of the op.
        op_axes: Its axes.
        inputs: `q` of `(batch, heads, width)`, then whatever the cache is.
        np: float64 formula of the inputs, the scale and the axes.
        mlx: MLX texts by name.
        metal: Where key number `key` of `kv_head` lies, `row`; element `d` of it, `key` and
            `value`; whether it is there, `seen`; how many there are, `count`; what becomes of a
            score `s`, `score`; axes: `heads`, `kv_heads`, `width`, `value_width`.
        flops: FLOPs over the axes.
        cases: Visible, hidden and bench cases.
        formula: The mathematics for a proposer.
        constraints: Conditions between axes.
        bytes: Bytes over the axes, where not everything is read.
        plain_flops: FLOPs where every key counts, those that are not there included.
        out: Shape of the output.
    """
    plain = {"seen": "true", "score": "s", "heads": "heads", "width": "head_dim"}
    return Op(
        name=name,
        family="attention",
        formula=formula,
        axes=op_axes,
        inputs=inputs,
        outputs=(Tensor("out", out, match=Close(f"{metal['keys']} + {metal['total_width']}")),),
        params={"scale": 0.125},
        ranges=SCALE,
        constraints=constraints,
        oracle=lambda given, workload: (_called(np, given, workload),),
        steps=lambda given, workload, stored: (_called(np, given, workload),),
        baselines=mlx,
        flops=flops,
        bytes=bytes,
        plain_flops=plain_flops,
        visible=cases[0],
        hidden=cases[1],
        bench=cases[2],
        metal={"form": "decode", "value_width": "head_dim", **plain, **metal},
    )


def _called(formula: Any, inputs: Mapping[str, Any], workload: Workload) -> Any:
    return formula(inputs, workload.axes, param_value(workload, "scale"))


def _attended(
    q: Any, keys: Any, values: Any, scale: float, live: Any = None, bias: Any = 0.0
) -> Any:
    """`q` (batch, heads, d), keys and values (batch, kv_heads, n, d), `bias` of the scores."""
    repeats = q.shape[1] // max(keys.shape[1], 1)
    wide, seen = (np.repeat(x, repeats, axis=1) for x in (keys, values))
    scores = ((q * scale)[:, :, None] @ wide.swapaxes(-1, -2))[:, :, 0] + bias
    if live is None:
        return (softmax_rows(scores)[:, :, None] @ seen)[:, :, 0]
    there = np.broadcast_to(live[:, None], scores.shape)
    peak = np.where(there, scores, -np.inf).max(axis=-1, keepdims=True, initial=-np.inf)
    weights = np.exp(np.where(there, scores - np.where(np.isfinite(peak), peak, 0.0), -np.inf))
    total = weights.sum(axis=-1, keepdims=True)
    return ((weights / np.where(total > 0, total, 1.0))[:, :, None] @ seen)[:, :, 0]


PAGED = "pages page_size blocks batch heads kv_heads head_dim"


def _paged(inputs: Any, axes: Any, scale: float, bias: Any = 0.0) -> Any:
    table, counts = inputs["table"], inputs["counts"]
    size = axes["blocks"] * axes["page_size"]
    shape = (axes["batch"], size, axes["kv_heads"], axes["head_dim"])
    keys, values = (
        inputs[n][np.maximum(table, 0)].reshape(shape).swapaxes(1, 2) for n in ("keys", "values")
    )
    live = np.arange(size)[None] < counts[:, None]
    live = live & np.repeat(table >= 0, axes["page_size"], axis=1)
    return _attended(inputs["q"], keys, values, scale, live, bias)


def _paged_alibi(inputs: Any, axes: Any, scale: float) -> Any:
    slope = 2.0 ** (-8.0 * (np.arange(axes["heads"]) + 1) / max(axes["heads"], 1))
    away = np.arange(axes["blocks"] * axes["page_size"]) - (inputs["counts"][:, None] - 1)
    return _paged(inputs, axes, scale, slope[:, None] * away[:, None])


def _table(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    """Pages of each sequence; one in eight is missing."""
    found = rng.integers(0, sizes["pages"], shape)
    return np.where(rng.integers(0, 8, shape) == 0, -1, found).astype(np.int32)


def _counts(rng: Any, shape: Any, dtype: str, sizes: Any, values: Any) -> Any:
    most = sizes["blocks"] * sizes["page_size"]
    return rng.integers(0, most + 1, shape).astype(np.int32)


def _scaled(names: str, label: str, *sizes: int) -> Any:
    return labelled(names, label, *sizes, scale=sizes[-1] ** -0.5)


PAGED_TEXT = """
size = blocks * page_size
def laid_out(pool):
    found = pool[mx.maximum(table, 0)].reshape(batch, size, kv_heads, head_dim)
    return mx.repeat(found.swapaxes(1, 2).astype(mx.float32), heads // kv_heads, axis=1)
live = (mx.arange(size)[None] < counts[:, None]) & mx.repeat(table >= 0, page_size, axis=1)
live = live[:, None, None]
scores = scale * (q.astype(mx.float32)[:, :, None] @ laid_out(keys).swapaxes(-1, -2))
weights = mx.softmax(mx.where(live, scores, -1e30), axis=-1, precise=True)
return (mx.where(live, weights, 0) @ laid_out(values))[:, :, 0].astype(dtype)
"""
attention_paged_decode = decoded(
    "attention_paged_decode",
    axes(
        Axis("pages", least=1),
        Axis("page_size", least=1),
        "blocks batch heads",
        Axis("kv_heads", least=1),
        HEAD,
    ),
    (
        Tensor("q", ("batch", "heads", "head_dim")),
        Tensor("keys", ("pages", "page_size", "kv_heads", "head_dim")),
        Tensor("values", ("pages", "page_size", "kv_heads", "head_dim")),
        Tensor("table", ("batch", "blocks"), "int32", Custom(_table)),
        Tensor("counts", ("batch",), "int32", Custom(_counts)),
    ),
    np=_paged,
    mlx={
        "gathered": PAGED_TEXT,
        "mx.fast.scaled_dot_product_attention": """
size = blocks * page_size
def laid_out(pool):
    return pool[mx.maximum(table, 0)].reshape(batch, size, kv_heads, head_dim).swapaxes(1, 2)
live = (mx.arange(size)[None] < counts[:, None]) & mx.repeat(table >= 0, page_size, axis=1)
live = live[:, None, None]
found = mx.fast.scaled_dot_product_attention(q[:, :, None], laid_out(keys), laid_out(values),
                                             scale=scale, mask=live)
return mx.where(mx.any(live, axis=-1, keepdims=True), found, mx.zeros_like(found))[:, :, 0]
""",
    },
    metal={
        "row": "(size_t(table[batch * table_shape[1] + key / keys_shape[1]]) * keys_shape[1] + "
        "key % keys_shape[1]) * kv_heads + kv_head",
        "key": "float(keys[row * WIDTH + d])",
        "value": "float(values[row * WIDTH + d])",
        "seen": "table[batch * table_shape[1] + key / keys_shape[1]] >= 0",
        "count": "min(counts[batch], int(table_shape[1] * keys_shape[1]))",
        "kv_heads": "keys_shape[2]",
        "keys": "blocks * page_size",
        "total_width": "head_dim",
    },
    flops="batch * heads * head_dim",
    bytes="2 * batch * heads * head_dim * itemsize",
    plain_flops="8 * batch * heads * blocks * page_size * head_dim",
    constraints=("heads % kv_heads == 0",),
    cases=(
        (
            *(_scaled(PAGED, "", *s) for s in ((2, 2, 1, 1, 1, 1, 8), (8, 4, 3, 2, 4, 2, 32))),
            *cases(PAGED, (5, 8, 4, 1, 2, 2, 64), scale=0.5),
        ),
        (
            *(_scaled(PAGED, "", *s) for s in ((3, 2, 2, 0, 2, 1, 8), (1, 1, 1, 3, 1, 1, 33))),
            *(_scaled(PAGED, "", *s) for s in ((17, 16, 5, 3, 6, 3, 80), (31, 3, 7, 2, 4, 1, 5))),
            *(_scaled(PAGED, "", *s) for s in ((67, 2, 9, 1, 3, 1, 65), (9, 2, 3, 17, 2, 1, 12))),
            *cases(PAGED, (33, 8, 9, 5, 8, 2, 64), scale=0.03),
        ),
        (
            _scaled(PAGED, "smollm2-135m, 512 keys", 64, 16, 32, 1, 9, 3, 64),
            _scaled(PAGED, "llama-3.2-1b, batch 8, 1024 keys", 512, 16, 64, 8, 32, 8, 64),
        ),
    ),
    formula="Sequence b has counts[b] keys; key t lies in page table[b, t / page_size] at place "
    "t % page_size, and is not seen where the table has -1. Head h reads the keys of head h // "
    "(heads // kv_heads). p = softmax over the keys seen of scale q . k; out = sum of p v, zeros "
    "where no key is seen.",
)
attention_paged_decode_alibi = replace(
    attention_paged_decode,
    name="attention_paged_decode_alibi",
    formula=f"{attention_paged_decode.formula} Before the softmax the score of key t gains "
    "2^(-8 (h + 1) / heads) (t - (counts[b] - 1)): the query stands at the last key.",
    oracle=lambda given, workload: (_called(_paged_alibi, given, workload),),
    steps=lambda given, workload, stored: (_called(_paged_alibi, given, workload),),
    baselines={
        "gathered": PAGED_TEXT.replace(
            "weights =",
            "slope = mx.power(2.0, -8 * (mx.arange(heads, dtype=mx.float32) + 1) / heads)\n"
            "away = (mx.arange(size) - (counts[:, None] - 1))[:, None, None]\n"
            "scores = scores + slope[:, None, None] * away\nweights =",
        )
    },
    metal={
        **attention_paged_decode.metal,
        "score": "s + exp2(-8.0f * float(head + 1) / float(heads)) * "
        "float(key - (counts[batch] - 1))",
    },
)
KV8 = "batch heads kv_heads kv_len head_dim"
CODED = ("batch", "kv_heads", "kv_len", "head_dim")


def _kv8(inputs: Any, axes: Any, scale: float) -> Any:
    keys, values = (
        inputs[n].astype(np.float64) * inputs[f"{n}_scales"][..., None] for n in ("keys", "values")
    )
    return _attended(inputs["q"], keys, values, scale)


attention_decode_kv8 = decoded(
    "attention_decode_kv8",
    axes("batch heads", Axis("kv_heads", least=1), Axis("kv_len", least=1), HEAD),
    (
        Tensor("q", ("batch", "heads", "head_dim")),
        Tensor("keys", CODED, "int8", Int(-127, 127)),
        Tensor("keys_scales", CODED[:3], "float32", Real(0.0, 0.125)),
        Tensor("values", CODED, "int8", Int(-127, 127)),
        Tensor("values_scales", CODED[:3], "float32", Real(0.0, 0.125)),
    ),
    np=_kv8,
    mlx={
        "in float32": """
def wide(codes, scales):
    return codes.astype(mx.float32) * scales[..., None]
given = q.astype(mx.float32)[:, :, None]
found = mx.fast.scaled_dot_product_attention(given, wide(keys, keys_scales),
                                             wide(values, values_scales), scale=scale)
return found[:, :, 0].astype(dtype)
""",
        "plain": """
def wide(codes, scales):
    return (codes * scales[..., None]).astype(dtype)
found = mx.fast.scaled_dot_product_attention(q[:, :, None], wide(keys, keys_scales),
                                             wide(values, values_scales), scale=scale)
return found[:, :, 0]
""",
    },
    metal={
        "row": "(size_t(batch) * kv_heads + kv_head) * count + key",
        "key": "float(keys[row * WIDTH + d]) * keys_scales[row]",
        "value": "float(values[row * WIDTH + d]) * values_scales[row]",
        "count": "int(keys_shape[2])",
        "kv_heads": "keys_shape[1]",
        "keys": "kv_len",
        "total_width": "head_dim",
    },
    flops="4 * batch * heads * kv_len * head_dim",
    constraints=("heads % kv_heads == 0",),
    cases=(
        (
            *(_scaled(KV8, "", *s) for s in ((1, 1, 1, 1, 8), (1, 4, 2, 16, 32), (2, 3, 3, 7, 64))),
            *cases(KV8, (1, 2, 1, 33, 64), scale=0.5),
        ),
        (
            *(_scaled(KV8, "", *s) for s in ((0, 2, 1, 4, 8), (3, 6, 2, 5, 33), (1, 2, 1, 257, 5))),
            *(_scaled(KV8, "", *s) for s in ((1, 8, 2, 127, 80), (2, 1, 1, 67, 128))),
            *cases(KV8, (1, 4, 4, 31, 64), scale=0.03),
        ),
        (
            _scaled(KV8, "smollm2-135m decode, 1024 keys", 1, 9, 3, 1024, 64),
            _scaled(KV8, "qwen3-0.6b decode, 4096 keys", 1, 16, 8, 4096, 128),
            _scaled(KV8, "llama-3.2-1b decode, batch 8, 1024 keys", 8, 32, 8, 1024, 64),
        ),
    ),
    formula="Keys and values are codes of 8 bits times a scale of each row. Head h reads those of "
    "head h // (heads // kv_heads). p = softmax of scale q . k; out = sum of p v.",
)
MLA = "batch heads kv_len latent rotary"


def _latent(inputs: Any, axes: Any, scale: float) -> Any:
    held = inputs["cache"][:, None]
    return _attended(inputs["q"], held, held[..., : axes["latent"]], scale)


attention_decode_mla = decoded(
    "attention_decode_mla",
    axes(
        "batch heads",
        Axis("kv_len", least=1),
        Axis("latent", least=1, compiled=True, tried_to=512),
        Axis("rotary", compiled=True, tried_to=64),
    ),
    (
        Tensor("q", ("batch", "heads", "latent + rotary")),
        Tensor("cache", ("batch", "kv_len", "latent + rotary")),
    ),
    np=_latent,
    mlx={
        "in float32": """
given, held = q.astype(mx.float32), cache.astype(mx.float32)
weights = mx.softmax(scale * (given @ held.swapaxes(-1, -2)), axis=-1, precise=True)
return (weights @ held[..., :latent]).astype(dtype)
""",
        "plain": """
weights = mx.softmax(scale * (q @ cache.swapaxes(-1, -2)), axis=-1, precise=True)
return (weights @ cache[..., :latent]).astype(dtype)
""",
    },
    metal={
        "row": "size_t(batch) * count + key",
        "key": "float(cache[row * WIDTH + d])",
        "value": "float(cache[row * WIDTH + d])",
        "count": "int(cache_shape[1])",
        "kv_heads": "1",
        "width": "latent + rotary",
        "value_width": "latent",
        "keys": "kv_len",
        "total_width": "latent + rotary",
    },
    flops="2 * batch * heads * kv_len * (2 * latent + rotary)",
    out=("batch", "heads", "latent"),
    cases=(
        (
            *cases(MLA, (1, 1, 1, 8, 4), (1, 4, 16, 32, 8), (2, 3, 7, 64, 16)),
            *cases(MLA, (1, 2, 33, 64, 16), scale=0.5),
        ),
        (
            *cases(MLA, (0, 2, 4, 8, 4), (3, 6, 5, 33, 5), (1, 2, 257, 32, 8), (1, 5, 31, 64, 0)),
            *cases(MLA, (1, 20, 67, 128, 64), scale=0.07),
        ),
        (
            labelled(
                MLA, "deepseek-v2-lite decode, 512 keys", 1, 16, 512, 512, 64, scale=192**-0.5
            ),
            labelled(MLA, "glm-4.7-flash decode, 1024 keys", 1, 20, 1024, 512, 64, scale=192**-0.5),
        ),
    ),
    formula="Multi-head latent attention: all heads read one cache, whose rows of latent + rotary "
    "elements are the keys and whose first `latent` elements the values. p = softmax of scale q . "
    "k; out = sum of p v.",
)
