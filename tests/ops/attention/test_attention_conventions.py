"""Conventions of attention in which the field disagrees, and shapes that one of them refuses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import ops
from ops import Mask, masked_attention
from ops.declaring.validation import check
from ops.errors import UsageError
from ops.fills import Segments
from ops.fills.spans import LONG
from ops.workload import Case, shape_of

AXES = {"batch": 1, "heads": 2, "kv_heads": 1, "head_dim": 4}


def run(name: str, q_len: int, kv_len: int, **given: Any) -> tuple[Any, dict[str, NDArray[Any]]]:
    op = ops.get(name)
    workload = op.workload(Case({**AXES, "q_len": q_len, "kv_len": kv_len}), "float32")
    rng = np.random.default_rng(3)
    inputs = {t.name: rng.normal(size=shape_of(t, workload)) for t in op.inputs} | given
    return op.oracle(inputs, workload), inputs


def test_images_may_ask_few_words() -> None:
    axes = {"batch": 1, "heads": 8, "kv_heads": 8, "q_len": 4096, "kv_len": 77, "head_dim": 40}
    full = ops.get("attention_full")
    assert full.workload(Case(axes), "float32").axes["q_len"] == 4096
    assert any(case.axes["q_len"] == 4096 and case.axes["kv_len"] == 77 for case in full.bench)
    with pytest.raises(UsageError, match="q_len <= kv_len"):
        ops.get("attention_tree").workload(Case(axes), "float32")


def test_queries_before_the_first_key_see_what_the_mask_says() -> None:
    (full,), given = run("attention_full", 5, 2)
    weights = np.exp(0.125 * given["q"] @ given["k"].swapaxes(-1, -2))
    wanted = weights / weights.sum(axis=-1, keepdims=True) @ given["v"]
    assert_allclose(full, wanted, rtol=1e-12)
    (capped,), given = run("attention_softcap", 5, 2)
    assert not capped[:, :, :3].any()
    assert_allclose(capped[:, :, 3], np.repeat(given["v"][:, :, 0], 2, axis=1), rtol=1e-12)


def test_a_mask_that_divides_a_place_does_not_hold_before_the_first_key() -> None:
    def halves(early: bool) -> Mask:
        return Mask(np=lambda q, k: q // 2 == k // 2, metal="q / 2 == k / 2", early=early)

    check(masked_attention("mine", halves(early=False)))
    with pytest.raises(UsageError, match=r"differ at q = -1, k = 0"):
        check(masked_attention("mine", halves(early=True)))


@pytest.mark.parametrize(("q_len", "kv_len"), [(2, 4), (4, 4), (5, 2)])
def test_upper_left_aligns_the_first_query_with_the_first_key(q_len: int, kv_len: int) -> None:
    (out,), given = run("attention_upper_left", q_len, kv_len)
    assert_allclose(out[:, :, 0], np.repeat(given["v"][:, :, 0], 2, axis=1), rtol=1e-12)
    if q_len == kv_len:
        own = {n: given[n] for n in ("q", "k", "v")}
        assert_allclose(out, run("attention", q_len, kv_len, **own)[0][0], rtol=1e-12)
    if q_len > kv_len:
        full = {n: given[n][:, :, -3:] if n == "q" else given[n] for n in ("q", "k", "v")}
        assert_allclose(out[:, :, -3:], run("attention_full", 3, kv_len, **full)[0][0], rtol=1e-12)


def test_sums_in_base_2_and_zero_where_no_key_is_seen() -> None:
    (_, natural), given = run("attention_lse", 6, 3)
    _, binary = run("attention_lse_base2", 6, 3, **given)[0]
    _, infinite = run("attention_lse_infinite", 6, 3, **given)[0]
    assert_array_equal(natural[:, :, :3], -1e30)
    assert_array_equal(binary[:, :, :3], 0.0)
    assert_array_equal(infinite[:, :, :3], -np.inf)
    assert_array_equal(infinite[:, :, 3:], natural[:, :, 3:])
    assert_allclose(binary[:, :, 3:], natural[:, :, 3:] / math.log(2.0), rtol=1e-12)


def test_a_query_without_a_key_may_give_the_mean_of_the_values() -> None:
    segments = np.array([[0, 0, -1, 1, -1, 1]], np.int32)
    (out,), given = run("attention_document_mean", 6, 6, segments=segments)
    (zeros,), _ = run("attention_document", 6, 6, **given)
    dead = segments[0] < 0
    assert_allclose(out[:, :, ~dead], zeros[:, :, ~dead], rtol=1e-12)
    assert not zeros[:, :, dead].any()
    mean = np.repeat(given["v"].mean(axis=2)[:, :, None], 2, axis=1)
    assert_allclose(out[:, :, dead], np.repeat(mean, 2, axis=2), rtol=1e-12)


def test_long_rows_hold_the_documents_of_published_benchmarks() -> None:
    cases = ops.get("attention_document").bench
    assert {8192, 16384, 32768} <= {case.axes["kv_len"] for case in cases}
    for name in ("attention_document", "block_mask_document"):
        (fill,) = (t.fill for t in ops.get(name).inputs if t.name == "segments")
        assert fill == Segments(packed=12)
    found = Segments(packed=12).draw(
        np.random.default_rng(0), (9, LONG), "int32", {}, lambda rng, s, d: rng.normal(size=s)
    )
    assert_array_equal(found.max(axis=1), 11)
    assert (found < 0).any()
    assert (np.diff(np.where(found < 0, 12, found), axis=1) >= 0).all()


def test_the_sequence_may_come_before_the_heads() -> None:
    (out,), given = run("attention_sequence_first", 3, 5)
    assert given["k"].shape == (1, 5, 1, 4)
    moved = {name: x.swapaxes(1, 2) for name, x in given.items()}
    assert_allclose(out.swapaxes(1, 2), run("attention", 3, 5, **moved)[0][0], rtol=1e-12)
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 8))
    axes = {"batch": 2, "heads": 3, "seq": 5, "head_dim": 8}
    turned = [
        op.oracle({"x": y}, op.workload(Case(axes, {"offset": 7}), "float32"))[0]
        for op, y in ((ops.get("rope_sequence_first"), x), (ops.get("rope"), x.swapaxes(1, 2)))
    ]
    assert_allclose(turned[0], turned[1].swapaxes(1, 2), rtol=1e-12)


@pytest.mark.parametrize(("name", "block"), [("_64", 64), ("_128", 128), ("", 8)])
def test_blocks_of_sparse_attention_are_of_several_sizes(name: str, block: int) -> None:
    mask = ops.get(f"attention_block_sparse{name}").premise.args[0]  # type: ignore[union-attr]
    kv_len, many = 3 * block + 1, 4
    live = np.random.default_rng(block).integers(0, 2, many * many).astype(bool)
    place = np.arange(kv_len)
    seen = mask.np(place[:, None], place[None], kv_len, live)
    wide = np.repeat(np.repeat(live.reshape(many, many), block, 0), block, 1)
    assert_array_equal(seen, wide[:kv_len, :kv_len])


def test_no_formula_explains_an_op_by_itself() -> None:
    for op in ops.all_ops().values():
        assert f"`{op.name}`" not in op.formula, op.name
