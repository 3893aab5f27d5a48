"""What must hold of the oracles whatever the numbers: laws of the mathematics itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import ops
from ops import registry
from ops.parameters import Scalar
from ops.workload import Case

Array = NDArray[np.float64]
VALUES = st.floats(-100, 100, width=32).map(lambda v: 0.0 if abs(v) < 1e-3 else v)
SIZE = st.integers(1, 9)


def run(name: str, axes: dict[str, int], *inputs: Array, **params: Scalar) -> tuple[Array, ...]:
    op = ops.get(name)
    named = {t.name: x for t, x in zip(op.inputs, inputs, strict=True)}
    return op.oracle(named, op.workload(Case(axes, params), "float32"))


def rowwise(name: str, x: Array, *others: Array, **params: Scalar) -> Array:
    return run(name, {"rows": x.shape[0], "cols": x.shape[1]}, x, *others, **params)[0]


@st.composite
def tensors(draw: st.DrawFn, *shapes: tuple[str, ...]) -> list[Any]:
    """Arrays whose dimensions of the same name agree."""
    sizes = {n: draw(SIZE) for n in sorted({n for shape in shapes for n in shape})}
    return [draw(arrays(np.float64, tuple(sizes[n] for n in s), elements=VALUES)) for s in shapes]


@given(tensors(("rows", "cols")), st.floats(-50, 50), st.randoms(use_true_random=False))
def test_softmax(given_x: list[Array], shift: float, random: Any) -> None:
    (x,) = given_x
    out = rowwise("softmax", x)
    assert_allclose(out.sum(axis=-1), 1.0, rtol=1e-12)
    assert (out >= 0).all()
    assert_allclose(rowwise("softmax", x + shift), out, rtol=1e-9, atol=1e-300)
    order = random.sample(range(x.shape[1]), x.shape[1])
    assert_allclose(rowwise("softmax", x[:, order]), out[:, order], rtol=1e-12)


@given(tensors(("rows", "cols"), ("rows", "cols")))
def test_silu_and_swiglu(pair: list[Array]) -> None:
    x, up = pair
    silu = rowwise("silu", x)
    assert_allclose(silu - rowwise("silu", -x), x, rtol=1e-12, atol=1e-12)
    assert_allclose(rowwise("swiglu", x, np.ones_like(x)), silu, rtol=1e-12)
    assert_allclose(rowwise("swiglu", x, 3 * up), 3 * silu * up, rtol=1e-12, atol=1e-12)


@given(tensors(("rows", "cols"), ("cols",)), st.floats(0.25, 4.0), st.floats(1e-6, 1.0))
def test_rms_norm(pair: list[Array], factor: float, eps: float) -> None:
    x, weight = pair
    eps, factor = float(np.float32(eps)), float(np.exp2(np.round(np.log2(factor))))
    out = rowwise("rms_norm", x, weight, eps=eps)
    scaled = rowwise("rms_norm", factor * x, weight, eps=eps * factor**2)
    assert_allclose(scaled, out, rtol=1e-10, atol=1e-12)
    unit = rowwise("rms_norm", x, np.ones_like(weight), eps=eps)
    mean_square = np.mean(x**2, axis=-1)
    assert_allclose(np.mean(unit**2, axis=-1), mean_square / (mean_square + eps), rtol=1e-10)


@given(tensors(("rows", "cols"), ("cols",), ("cols",)), st.floats(-1000, 1000))
def test_layer_norm(three: list[Array], shift: float) -> None:
    x, weight, bias = three
    out = rowwise("layer_norm", x, weight, bias)
    assert_allclose(rowwise("layer_norm", x + shift, weight, bias), out, rtol=1e-5, atol=1e-6)
    plain = rowwise("layer_norm", x, np.ones_like(weight), np.zeros_like(bias))
    assert_allclose(plain.mean(axis=-1), 0.0, atol=1e-9)
    assert_allclose(plain * weight + bias, out, rtol=1e-12, atol=1e-12)


def rope(x: Array, **params: Scalar) -> Array:
    axes = dict(zip(("batch", "heads", "seq", "head_dim"), x.shape, strict=True))
    return run("rope", axes, x, **params)[0]


@pytest.mark.slow
@given(
    tensors(("batch", "heads", "seq", "half"), ("batch", "heads", "seq", "half")),
    st.integers(0, 5000),
    st.sampled_from([100.0, 10000.0, 500000.0]),
)
def test_rope_rotates(halves: list[Array], offset: int, base: float) -> None:
    x = np.concatenate(halves, axis=-1)
    half = x.shape[-1] // 2
    out = rope(x, base=base, offset=offset)
    pairs = x[..., :half] ** 2 + x[..., half:] ** 2
    assert_allclose(out[..., :half] ** 2 + out[..., half:] ** 2, pairs, rtol=1e-9, atol=1e-12)
    assert_allclose(
        rope(x, base=base)[..., :1, :], x[..., :1, :], err_msg="position 0 is left alone"
    )
    for t in range(x.shape[2]):
        single = rope(x[..., t : t + 1, :], base=base, offset=offset + t)
        assert_allclose(single[..., 0, :], out[..., t, :], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@given(
    tensors(("one", "heads", "half"), ("one", "heads", "half")),
    st.integers(0, 99),
    st.integers(0, 99),
)
def test_rope_scores_depend_on_the_distance_alone(parts: list[Array], i: int, j: int) -> None:
    q, k = (np.concatenate([p, -0.5 * p], axis=-1)[:, :, None, :] for p in parts)
    near = (rope(q, offset=i) * rope(k, offset=j)).sum()
    far = (rope(q, offset=i + 1000) * rope(k, offset=j + 1000)).sum()
    assert_allclose(near, far, rtol=1e-9, atol=1e-6)


@given(tensors(("rows", "cols")), st.integers(0, 9))
def test_cumsum(given_x: list[Array], cut: int) -> None:
    (x,) = given_x
    out = rowwise("cumsum", x)
    assert_allclose(np.diff(out, axis=-1, prepend=0.0), x, atol=1e-9)
    cut = min(cut, x.shape[1])
    left, right = rowwise("cumsum", x[:, :cut]), rowwise("cumsum", x[:, cut:])
    total = x[:, :cut].sum(axis=-1, keepdims=True)
    assert_allclose(np.concatenate([left, right + total], axis=-1), out, atol=1e-9)


@given(tensors(("rows", "cols"), ("rows", "cols")))
def test_gradients_of_scans_are_scans_from_the_other_end(pair: list[Array]) -> None:
    """What x is moved by, seen through the scan, is what dout sees through the gradient."""
    x, dout = pair
    assert_allclose(rowwise("cumsum_vjp", dout), rowwise("cumsum_reverse", dout), atol=1e-9)
    assert_allclose(rowwise("cumsum_reverse", x), rowwise("cumsum", x[:, ::-1])[:, ::-1], atol=1e-9)
    for name in ("cumsum", "cumsum_reverse"):
        backward = registry.gradient_for(name)
        assert backward is not None
        along = (rowwise(name, x) * dout).sum()
        assert_allclose((x * rowwise(backward.name, dout)).sum(), along, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_the_gradient_of_a_product_needs_no_division(zeros: int) -> None:
    rng = np.random.default_rng(zeros)
    x, dout, way = rng.normal(size=(3, 4, 7))
    x[:, 2 : 2 + zeros] = 0.0
    above, below = (rowwise("cumprod", x + s * 1e-6 * way) for s in (1, -1))
    quotient = ((above - below) * dout).sum() / 2e-6
    assert_allclose((rowwise("cumprod_vjp", x, dout) * way).sum(), quotient, rtol=1e-7)
    assert_allclose(rowwise("cumprod_reverse", x), np.cumprod(x[:, ::-1], axis=-1)[:, ::-1])


def test_the_gradient_of_a_recurrence_follows_it() -> None:
    rng = np.random.default_rng(0)
    x, dout, way, other = rng.normal(size=(4, 2, 5, 3))
    decay = rng.uniform(size=x.shape)
    axes = {"batch": 2, "seq": 5, "channels": 3}
    (out,) = run("linear_recurrence", axes, decay, x)
    ddecay, dx = run("linear_recurrence_vjp", axes, decay, out, dout)
    above, below = (
        run("linear_recurrence", axes, decay + s * 1e-6 * other, x + s * 1e-6 * way)[0]
        for s in (1, -1)
    )
    quotient = ((above - below) * dout).sum() / 2e-6
    assert_allclose((dx * way + ddecay * other).sum(), quotient, rtol=1e-7)


def test_high_and_low_bits_sum_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    axes = {"rows": 3, "cols": 128, "group": 64}
    packed = rng.integers(0, 2**32, (3, 16), dtype=np.uint32)
    scales, biases = rng.normal(size=(2, 3, 2))
    high, low, whole = (
        run(f"dequantize_{name}", axes, packed, scales, biases)[0]
        for name in ("high_bits", "low_bits", "4bit")
    )
    assert_allclose(high + low, whole, rtol=1e-12, atol=1e-12)
    assert np.abs(high - whole).max() > np.abs(scales).min()


@pytest.mark.parametrize("name", ["rms_norm", "layer_norm"])
def test_a_norm_without_weight_is_one_with_ones(name: str) -> None:
    x = np.random.default_rng(0).normal(1.0, 2.0, size=(3, 8))
    learnt = (np.ones(8), np.zeros(8))[: len(ops.get(name).inputs) - 1]
    alone = rowwise(f"{name}_unweighted", x, eps=0.25)
    assert_allclose(alone, rowwise(name, x, *learnt, eps=0.25), rtol=1e-12)


POINTWISE = ("exp", "log", "relu2_glu", "mish_glu", "geglu_erf")


@pytest.mark.parametrize("name", POINTWISE)
def test_gradients_of_activations_are_their_slopes(name: str) -> None:
    forward, backward = ops.get(name), registry.gradient_for(name)
    assert backward is not None
    rng = np.random.default_rng(0)
    given = [rng.uniform(0.5, 2.0, size=(3, 5)) for _ in forward.inputs]
    given[0] = given[0] * (1.0 if name == "log" else rng.choice((-1.0, 1.0), (3, 5)))
    dout = rng.normal(size=(3, 5))
    axes = {"rows": 3, "cols": 5}
    found = run(backward.name, axes, *given, dout)
    for at, gradient in enumerate(found):
        moved = [[x + s * 1e-6 * (i == at) for i, x in enumerate(given)] for s in (1, -1)]
        above, below = (run(name, axes, *inputs)[0] for inputs in moved)
        assert_allclose(gradient, (above - below) * dout / 2e-6, rtol=1e-6, atol=1e-9)


@given(
    arrays(
        np.float64, st.tuples(SIZE, st.integers(1, 30)), elements=st.sampled_from([-1.0, 0.0, 2.0])
    ),
    st.integers(0, 30),
)
def test_topk_is_a_sort_by_value_then_index(x: Array, k: int) -> None:
    rows, cols = x.shape
    k = min(k, cols)
    values, indices = run("topk", {"rows": rows, "cols": cols, "k": k}, x)
    for row in range(rows):
        order = sorted(range(cols), key=lambda c: (-x[row, c], c))[:k]
        assert indices[row].tolist() == order
        assert values[row].tolist() == [x[row, c] for c in order]


@given(tensors(("rows", "cols")), st.randoms(use_true_random=False))
def test_topk_of_a_permuted_row(given_x: list[Array], random: Any) -> None:
    (x,) = given_x
    rows, cols = x.shape
    axes = {"rows": rows, "cols": cols, "k": cols}
    order = np.array(random.sample(range(cols), cols))
    values, indices = run("topk", axes, x)
    permuted, places = run("topk", axes, x[:, order])
    assert_array_equal(permuted, values)
    for row in range(rows):
        if len(set(x[row].tolist())) == cols:
            assert_array_equal(order[places[row]], indices[row])


@given(tensors(("m", "k"), ("n", "k"), ("n", "k")), st.integers(0, 9))
def test_matmul(three: list[Array], cut: int) -> None:
    a, b, other = three

    def matmul(x: Array, y: Array) -> Array:
        axes = {"m": x.shape[0], "n": y.shape[0], "k": x.shape[1]}
        return run("matmul", axes, x, y)[0]

    out = matmul(a, b)
    assert_allclose(matmul(b, a).T, out, atol=1e-8)
    assert_allclose(matmul(a, b + other), out + matmul(a, other), atol=1e-7)
    assert_allclose(matmul(a, np.eye(a.shape[1])), a)
    cut = min(cut, a.shape[1])
    assert_allclose(matmul(a[:, :cut], b[:, :cut]) + matmul(a[:, cut:], b[:, cut:]), out, atol=1e-8)


def attention(q: Array, k: Array, v: Array, scale: float) -> Array:
    axes = {"batch": q.shape[0], "heads": q.shape[1], "kv_heads": k.shape[1]}
    axes |= {"q_len": q.shape[2], "kv_len": k.shape[2], "head_dim": q.shape[3]}
    return run("attention", axes, q, k, v, scale=scale)[0]


@st.composite
def attentions(draw: st.DrawFn) -> tuple[Array, Array, Array]:
    batch, kv_heads, repeats, head_dim = (draw(st.integers(1, 3)) for _ in range(4))
    kv_len = draw(st.integers(1, 8))
    q_len = draw(st.integers(1, kv_len))
    small = st.floats(-4, 4, width=32)
    q = draw(arrays(np.float64, (batch, kv_heads * repeats, q_len, head_dim), elements=small))
    k = draw(arrays(np.float64, (batch, kv_heads, kv_len, head_dim), elements=small))
    v = draw(arrays(np.float64, k.shape, elements=small))
    return q, k, v


@given(attentions(), st.sampled_from([0.125, 0.5, 1.0]))
def test_attention_by_its_formula(qkv: tuple[Array, Array, Array], scale: float) -> None:
    q, k, v = qkv
    out = attention(q, k, v, scale)
    batch, heads, q_len, head_dim = q.shape
    group, late = heads // k.shape[1], k.shape[2] - q_len
    for b, n, i in np.ndindex(batch, heads, q_len):
        seen = range(i + late + 1)
        weights = [np.exp(scale * float(q[b, n, i] @ k[b, n // group, j])) for j in seen]
        total = np.zeros(head_dim)
        for j, weight in zip(seen, weights, strict=True):
            total += weight * v[b, n // group, j]
        assert_allclose(out[b, n, i], total / sum(weights), rtol=1e-9, atol=1e-12)


@given(attentions(), st.integers(0, 8))
def test_attention_over_split_keys_merges_to_the_whole(
    qkv: tuple[Array, Array, Array], cut: int
) -> None:
    q, k, v = qkv
    q = q[:, :, -1:]
    cut = min(max(cut, 1), k.shape[2] - 1)
    assume(cut >= 1)
    group = q.shape[1] // k.shape[1]

    def log_sum(keys: Array) -> Array:
        scores = q @ np.repeat(keys, group, axis=1).swapaxes(-1, -2)
        total: Array = np.exp(scores).sum(axis=-1, keepdims=True)
        return np.log(total)

    first, second = slice(None, cut), slice(cut, None)
    parts = [
        (attention(q, k[:, :, s], v[:, :, s], 1.0), log_sum(k[:, :, s])) for s in (first, second)
    ]
    shares = np.exp(np.stack([s for _, s in parts]) - log_sum(k))
    merged = sum(o * share for (o, _), share in zip(parts, shares, strict=True))
    assert_allclose(merged, attention(q, k, v, 1.0), rtol=1e-9, atol=1e-12)


@given(attentions())
def test_attention_never_looks_ahead(qkv: tuple[Array, Array, Array]) -> None:
    q, k, v = qkv
    q_len = q.shape[2]
    whole = attention(q, k, v, 0.5)
    for i in range(q_len):
        seen = k.shape[2] - q_len + i + 1
        alone = attention(q[:, :, i : i + 1], k[:, :, :seen], v[:, :, :seen], 0.5)
        assert_allclose(whole[:, :, i : i + 1], alone, rtol=1e-9, atol=1e-12)
    assert_allclose(attention(q, k, np.ones_like(v), 0.5), 1.0, rtol=1e-12)
