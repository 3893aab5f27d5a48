"""Members of attention held to others of which they are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import ops
from ops.families.attention.modifiers import TILE, TILES
from ops.families.attention.packings import ROTARY
from ops.formulas import softmax_rows
from ops.workload import Case, shape_of

Array = NDArray[Any]
AXES = {"batch": 2, "heads": 4, "kv_heads": 2, "head_dim": 6}


def run(name: str, axes: dict[str, int], params: dict[str, Any], **given: Array) -> Array:
    op = ops.get(name)
    workload = op.workload(Case(axes, params), "float32")
    return op.oracle({t.name: given[t.name] for t in op.inputs}, workload)[0]


def drawn(name: str, axes: dict[str, int]) -> dict[str, Array]:
    op = ops.get(name)
    workload = op.workload(Case(axes), "float32")
    rng = np.random.default_rng(4)
    return {t.name: rng.normal(size=shape_of(t, workload)) for t in op.inputs}


@pytest.mark.parametrize("one_way", [False, True])
def test_t5_adds_the_bias_of_its_buckets(one_way: bool) -> None:
    axes = {**AXES, "q_len": 20, "kv_len": 90}
    given = drawn("attention_t5", axes)
    params = {"one_way": one_way, "furthest": 64}
    out = run("attention_t5", axes, {**params, "scale": 0.5}, **given)
    sizes = {"heads": 4, "q_len": 20, "kv_len": 90, "buckets": 32}
    bias = run("t5_bias", sizes, params, table=given["table"].reshape(4, 32))
    keys, values = (np.repeat(given[n], 2, axis=1) for n in ("k", "v"))
    scores = 0.5 * given["q"] @ keys.swapaxes(-1, -2) + bias
    ahead = np.arange(90) > np.arange(20)[:, None] + 70
    scores = np.where(ahead & one_way, -np.inf, scores)
    assert_allclose(out, softmax_rows(scores) @ values, rtol=1e-9, atol=1e-12)


def test_a_rotary_part_lengthens_queries_and_keys() -> None:
    axes = {**AXES, "q_len": 3, "kv_len": 7}
    given = drawn("attention_rotary_part", axes)
    out = run("attention_rotary_part", axes, {"scale": 0.5}, **given)
    turned = given["q_turned"].reshape(2, 4, 7, ROTARY)[:, :, -3:]
    shared = np.repeat(given["k_turned"].reshape(2, 1, 7, ROTARY), 4, axis=1)
    long = {
        "q": np.concatenate([0.5 * given["q"], turned], axis=-1),
        "k": np.concatenate([np.repeat(given["k"], 2, axis=1), shared], axis=-1),
        "v": np.pad(np.repeat(given["v"], 2, axis=1), [(0, 0)] * 3 + [(0, ROTARY)]),
    }
    wide = {**axes, "kv_heads": 4, "head_dim": 6 + ROTARY}
    wanted = run("attention", wide, {"scale": 1.0}, **long)[..., :6]
    assert_allclose(out, wanted, rtol=1e-9, atol=1e-12)


def test_picked_tiles_are_a_sparse_mask_of_blocks() -> None:
    mask = ops.get("attention_top_tiles").premise.args[0]  # type: ignore[union-attr]
    tiles = 3
    picked = np.array([[0, 2, -1, -1], [1, 1, 9, 0], [-1, -1, -1, -1]])
    assert picked.shape == (tiles, TILES)
    live = np.array([[tile in row for tile in range(tiles)] for row in picked])
    place = np.arange(tiles * TILE - 5)
    seen = mask.np(place[:, None], place[None], picked.ravel())
    wide = np.repeat(np.repeat(live, TILE, 0), TILE, 1)
    np.testing.assert_array_equal(seen, wide[: len(place), : len(place)])


def test_pages_with_alibi_are_its_keys_in_a_row() -> None:
    rng = np.random.default_rng(5)
    axes = {"pages": 6, "page_size": 4, "blocks": 3, **AXES}
    table = np.array([[3, 0, 5], [1, 4, 2]], np.int32)
    counts = np.array([9, 12], np.int32)
    pools = {n: rng.normal(size=(6, 4, 2, 6)) for n in ("keys", "values")}
    q = rng.normal(size=(2, 4, 6))
    name = "attention_paged_decode_alibi"
    out = run(name, axes, {"scale": 0.5}, q=q, table=table, counts=counts, **pools)
    for batch, count in enumerate(counts):
        keys, values = (
            pools[n][table[batch]].reshape(1, 12, 2, 6).swapaxes(1, 2)[:, :, :count]
            for n in ("keys", "values")
        )
        sizes = {**AXES, "batch": 1, "q_len": 1, "kv_len": int(count)}
        own = {"q": q[batch][None, :, None], "k": keys, "v": values}
        (alone,) = run("attention_alibi", sizes, {"scale": 0.5}, **own)
        assert_allclose(out[batch], alone[:, 0], rtol=1e-9, atol=1e-12)
