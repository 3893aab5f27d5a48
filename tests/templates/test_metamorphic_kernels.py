"""Laws of the mathematics, held by the kernels of the starting templates themselves."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import ops
from foundry import kernel
from foundry.engines.cpu import CpuEngine
from foundry.program import BuildFailure
from ops.workload import Case
from templates import default, for_op
from templates.render import render

Array = NDArray[Any]
ATTENTION = {"batch": 1, "heads": 4, "kv_heads": 2, "head_dim": 8}


@functools.cache
def engine() -> CpuEngine:
    return CpuEngine()


def run(name: str, axes: dict[str, int], *inputs: Array) -> tuple[Array, ...]:
    op = ops.get(name)
    template = for_op(name)[0]
    workload = op.workload(Case(axes), "float32")
    bound = kernel.bind(kernel.parse(render(template, default(template))), op, workload)
    built = engine().build(bound)
    assert not isinstance(built, BuildFailure), built.log
    given = {t.name: np.ascontiguousarray(x) for t, x in zip(op.inputs, inputs, strict=True)}
    numbers = {n: np.asarray(v, np.float32) for n, v in op.params.items()}  # scales alone, here
    call = built.bind({**given, **numbers}, poison=True)
    call()
    found = call.outputs()
    return tuple(found[tensor.name] for tensor in op.outputs)


def drawn(*shapes: tuple[int, ...]) -> list[Array]:
    rng = np.random.default_rng(3)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("cut", [0, 5, 12])
def test_parts_of_the_keys_merge_to_the_whole(cut: int) -> None:
    q, k, v = drawn((1, 4, 1, 8), (1, 2, 12, 8), (1, 2, 12, 8))
    parts = []
    for own in (slice(0, cut), slice(cut, 12)):
        sizes = {"q_len": 1, "kv_len": len(range(12)[own])}
        name = "attention_lse_infinite"
        out, lse = run(name, {**ATTENTION, **sizes}, q, k[:, :, own], v[:, :, own])
        parts += [out.reshape(4, 8), lse.reshape(4)]
    assert np.isneginf(parts[1]).all() == (cut == 0)
    merged, sums = run("attention_merge", {"rows": 4, "cols": 8}, *parts)
    sizes = {"q_len": 1, "kv_len": 12}
    out, lse = run("attention_lse", {**ATTENTION, **sizes}, q, k, v)
    assert_allclose(merged, out.reshape(4, 8), rtol=1e-5, atol=1e-6)
    assert_allclose(sums, lse.reshape(4), rtol=1e-6)


def test_a_document_mask_is_a_loop_over_documents() -> None:
    lengths, tail = (4, 1, 6), 2
    seq = sum(lengths) + tail
    segments = np.repeat([0, 1, 2, -1], [*lengths, tail]).astype(np.int32)[None]
    q, k, v = drawn((1, 4, seq, 8), (1, 2, seq, 8), (1, 2, seq, 8))
    (out,) = run(
        "attention_document", {**ATTENTION, "q_len": seq, "kv_len": seq}, q, k, v, segments
    )
    start = 0
    for length in lengths:
        own = (slice(None), slice(None), slice(start, start + length))
        sizes = {"q_len": length, "kv_len": length}
        (alone,) = run("attention", {**ATTENTION, **sizes}, q[own], k[own], v[own])
        assert_allclose(out[own], alone, rtol=1e-5, atol=1e-6)
        start += length
    assert not out[:, :, start:].any()


def test_dispatch_then_combine_gives_k_times_the_rows() -> None:
    (x,) = drawn((5, 7))
    index = np.repeat(np.arange(5), 2).astype(np.uint32)
    (picked,) = run("gather_rows", {"rows": 5, "cols": 7, "count": 10}, x, index)
    share = np.ones((5, 2), np.float32)
    for name in ("moe_combine", "moe_combine_no_fma", "moe_combine_float32"):
        axes = {"rows": 5, "slots": 2, "cols": 7}
        (out,) = run(name, axes, picked.reshape(5, 2, 7), share)
        assert_array_equal(out, 2 * x)


def test_high_and_low_bits_sum_to_the_whole() -> None:
    packed = np.random.default_rng(1).integers(0, 2**32, (3, 16), dtype=np.uint32)
    scales, biases = drawn((3, 2), (3, 2))
    axes = {"rows": 3, "cols": 128, "group": 64}
    high, low, whole = (
        run(f"dequantize_{name}", axes, packed, scales, biases)[0]
        for name in ("high_bits", "low_bits", "4bit")
    )
    assert_allclose(high + low, whole, rtol=1e-5, atol=1e-5)


def test_permuted_shards_are_restored() -> None:
    (x,) = drawn((2, 6, 3, 5))
    axes = {"batch": 2, "shards": 6, "each": 3, "cols": 5}
    (permuted,) = run("zigzag_permute", axes, x)
    assert (permuted != x).any()
    assert_array_equal(run("zigzag_restore", axes, permuted)[0], x)


def test_the_gradient_of_a_sum_is_the_sum_from_the_other_end() -> None:
    (dout,) = drawn((3, 70))
    axes = {"rows": 3, "cols": 70}
    (gradient,) = run("cumsum_vjp", axes, dout)
    assert_array_equal(gradient, run("cumsum_reverse", axes, dout)[0])


def test_packed_documents_are_a_loop_over_them() -> None:
    q, k, v, decay, beta = drawn((2, 9, 8), (2, 9, 8), (2, 9, 3), (2, 9), (2, 9))
    decay, beta = (1.0 / (1.0 + np.exp(x)) for x in (decay, beta))
    (state,) = drawn((4, 2, 8, 3))
    begins = np.array([0, 4, 4, 5, 9], np.int32)
    axes = {"heads": 2, "spans": 4, "key": 8, "value": 3}
    given = (q, k, v, decay, beta)
    out, last = run("gated_delta_packed", {**axes, "seq": 9}, *given, state, begins)
    for span, (begin, end) in enumerate(((0, 4), (4, 4), (4, 5), (5, 9))):
        sizes = {"batch": 1, "heads": 2, "seq": end - begin, "key": 8, "value": 3}
        own = (x[None, :, begin:end] for x in given)
        alone, after = run("gated_delta", sizes, *own, state[span][None])
        assert_array_equal(out[:, begin:end], alone[0])
        assert_array_equal(last[span], after[0])
