"""Attention over ranks: sequences are permuted in a zigzag, sharded, merged by their sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import ops
from ops.declaring.masking import AS_IT_IS, CAUSAL, EVERY_KEY, NO_KEY, Mask
from ops.families.attention.masked import one_batch
from ops.families.attention.modifiers import DOCUMENT
from ops.workload import Case

Array = NDArray[Any]
HEADS, WIDTH, SCALE = 2, 8, 0.3


def run(name: str, axes: dict[str, int], **inputs: Array) -> tuple[Array, ...]:
    op = ops.get(name)
    return op.oracle(inputs, op.workload(Case(axes), "float32"))


def zigzag(x: Array, ranks: int) -> Array:
    """Places of a sequence, in the order in which ranks hold them."""
    shards = 2 * ranks
    shaped = x.reshape(1, shards, -1, 1).astype(float)
    axes = {"batch": 1, "shards": shards, "each": shaped.shape[2], "cols": 1}
    return run("zigzag_permute", axes, x=shaped)[0].reshape(-1).astype(int)


def attended(mask: Mask, q: Array, k: Array, v: Array, at: Array, keys: Array, **known: Any) -> Any:
    """Output and logarithm of the sums, for queries and keys that stand anywhere."""
    places = {"q": at[:, None], "k": keys[None], "q_len": len(at), "kv_len": len(keys), **known}
    weights, sums = one_batch(mask, AS_IT_IS, places, SCALE * q @ k.swapaxes(-1, -2))
    return weights @ v, sums


def merged(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    out, sums = parts[0]
    for other, other_sums in parts[1:]:
        rows = {"rows": sums.size, "cols": WIDTH}
        flat = {"x": out.reshape(-1, WIDTH), "x_lse": sums.ravel()}
        flat |= {"y": other.reshape(-1, WIDTH), "y_lse": other_sums.ravel()}
        found, logs = run("attention_merge", rows, **flat)
        out, sums = found.reshape(out.shape), logs.reshape(sums.shape)
    return out, sums


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("mask", [CAUSAL, EVERY_KEY, DOCUMENT], ids=["causal", "full", "document"])
def test_ranks_together_give_the_whole(mask: Mask, ranks: int) -> None:
    seq = 2 * ranks * 3
    rng = np.random.default_rng(ranks)
    q, k, v = rng.normal(size=(3, HEADS, seq, WIDTH))
    known: dict[str, Any] = {}
    if mask is DOCUMENT:
        known["segments"] = np.array([0] * (seq // 3) + [1] * (seq // 3) + [-1] * (seq // 3))
    place = np.arange(seq)
    whole, sums = attended(mask, q, k, v, place, place, **known)

    order = zigzag(place, ranks)
    shards = order.reshape(ranks, -1)
    found, logs = np.zeros_like(whole), np.zeros_like(sums)
    for mine in shards:
        parts = [
            attended(mask, q[:, mine], k[:, theirs], v[:, theirs], mine, theirs, **known)
            for theirs in shards
        ]
        found[:, mine], logs[:, mine] = merged(parts)
    live = sums > NO_KEY
    assert_allclose(found, whole, rtol=1e-12, atol=1e-12)
    assert_allclose(logs[live], sums[live], rtol=1e-12)
    assert (logs[~live] < NO_KEY / 2).all()


def test_a_rank_holds_an_early_and_a_late_shard() -> None:
    place = np.arange(16)
    assert_array_equal(
        zigzag(place, 2).reshape(2, -1), [[0, 1, 2, 3, 12, 13, 14, 15], [4, 5, 6, 7, 8, 9, 10, 11]]
    )
    axes = {"batch": 1, "shards": 4, "each": 4, "cols": 1}
    shaped = zigzag(place, 2).reshape(1, 4, 4, 1).astype(float)
    assert_array_equal(run("zigzag_restore", axes, x=shaped)[0].ravel(), place)


def test_a_document_mask_is_a_loop_over_documents() -> None:
    rng = np.random.default_rng(0)
    lengths = (5, 1, 7)
    seq = sum(lengths) + 3  # a tail of padding
    segments = np.repeat([0, 1, 2, -1], [*lengths, 3])[None]
    q, k, v = (rng.normal(size=(1, HEADS, seq, WIDTH)) for _ in range(3))
    axes = {"batch": 1, "heads": HEADS, "kv_heads": HEADS, "head_dim": WIDTH}
    sizes = {"q_len": seq, "kv_len": seq}
    (out,) = run("attention_document", {**axes, **sizes}, q=q, k=k, v=v, segments=segments)
    start = 0
    for length in lengths:
        own = slice(start, start + length)
        sizes = {"q_len": length, "kv_len": length}
        parts = {n: x[:, :, own] for n, x in (("q", q), ("k", k), ("v", v))}
        (alone,) = run("attention", {**axes, **sizes}, **parts)
        assert_allclose(out[:, :, own], alone, rtol=1e-12)
        start += length
    assert not out[:, :, start:].any()


def test_dispatch_then_combine_with_shares_of_one_is_k_times_the_rows() -> None:
    x = np.random.default_rng(0).normal(size=(5, 7))
    index = np.repeat(np.arange(5), 3).astype(np.uint32)
    (picked,) = run("gather_rows", {"rows": 5, "cols": 7, "count": 15}, x=x, index=index)
    axes = {"rows": 5, "slots": 3, "cols": 7}
    (out,) = run("moe_combine", axes, x=picked.reshape(5, 3, 7), share=np.ones((5, 3)))
    assert_allclose(out, 3 * x)


def test_quantised_codes_give_back_what_they_came_from_within_half_a_step() -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 64))
    axes = {"rows": 3, "groups": 2, "group": 64}
    codes, scales, biases = run("quantize_affine_4bit", axes, x=x)
    back = np.rint(codes) * scales[..., None] + biases[..., None]
    assert (np.abs(back - x) <= 0.5 * scales[..., None] * (1 + 1e-12)).all()


def test_places_of_a_mixture_fill_buffers_in_order_and_drop_the_rest() -> None:
    index = np.array([[1, 0], [1, 1], [0, 1]], np.uint32)
    op = ops.get("moe_place")
    axes = {"rows": 3, "slots": 2, "experts": 3}
    (place,) = op.oracle({"index": index}, op.workload(Case(axes, {"capacity": 2}), "float32"))
    assert_array_equal(place, [2, 0, 3, -1, 1, -1])


def test_symmetric_codes_of_four_bits_are_signed_and_the_low_one_first() -> None:
    packed = np.zeros((1, 1, 16), np.uint8)
    packed[0, 0, :2] = 0x8F, 0x70
    axes = {"rows": 1, "blocks": 1, "block": 32}
    (out,) = run("dequantize_int4", axes, packed=packed, scales=np.full((1, 1), 0.5))
    assert_array_equal(out[0, 0, :4], [-0.5, -4.0, 0.0, 3.5])
