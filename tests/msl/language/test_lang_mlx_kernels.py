"""MLX's own kernels, read from the installed wheel, against MLX's CPU operations.

Metal lets no kernel call another. Without that rule a kernel function of a header is an ordinary
function, which a body may call: sorting, scans, reductions, attention, quantised and tiled matrix
products, as Apple wrote them for the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_headers import text_of
from msl_lang import Array, as_dtype, build, run

from foundry.msl.build import metal_check
from foundry.msl.frontend.refusals import kernels
from foundry.program import BuildFailure

TOLERANCE = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE))
PLACE = """
  uint3 tid = threadgroup_position_in_grid, lid = thread_position_in_threadgroup;
  uint3 lsize = threads_per_threadgroup, gsize = threadgroups_per_grid;
  uint lane = thread_index_in_simdgroup, simd = simdgroup_index_in_threadgroup;
  uint simds = simdgroups_per_threadgroup;
"""


@pytest.fixture(autouse=True)
def _kernels_are_called_as_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With numbers for what is `constant` in them, which Metal's compiler would refuse."""
    monkeypatch.setattr(metal_check, "complaint", lambda *_: None)
    monkeypatch.setattr(kernels, "_check_calls", lambda *_: None)


def _random(*shape: int, dtype: str = "float32", seed: int = 0) -> Array:
    values = np.random.default_rng(seed + sum(shape)).standard_normal(shape)
    return as_dtype(values, dtype)


def _run(
    headers: Sequence[str],
    call: str,
    inputs: dict[str, Array],
    shape: Sequence[int],
    dtype: str,
    **options: Any,
) -> Array:
    text = text_of(headers) + "\n"
    outputs = {"out": (tuple(shape), dtype)}
    options.setdefault("template", [("T", next(iter(inputs.values())).dtype.name)])
    return run(PLACE + call, inputs, outputs, header=text, **options)["out"]


def _close(got: Array, exact: Array, dtype: str, scale: float = 1.0) -> None:
    bound = TOLERANCE[dtype] * scale
    np.testing.assert_allclose(got.astype(np.float64), exact, rtol=bound, atol=bound)


@DTYPES
@pytest.mark.parametrize("cols", [7, 512, 1000])
def test_softmax(dtype: str, cols: int) -> None:
    x = _random(5, cols, dtype=dtype)
    threads = -(-cols // 128) * 32
    call = f"softmax_single_row<T, float, 4>(x, out, {cols}, tid.x, lid.x, lane, simd);"
    got = _run(
        ["softmax.h"],
        call,
        {"x": x},
        x.shape,
        dtype,
        grid=(5 * threads, 1, 1),
        threadgroup=(threads, 1, 1),
    )
    wide = np.exp(x.astype(np.float64))
    _close(got, wide / wide.sum(1, keepdims=True), dtype)


@pytest.mark.parametrize("operation", ["CumSum", "CumMax", "CumProd"])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan(operation: str, reverse: bool) -> None:
    x = _random(3, 777)
    exclusive = operation == "CumSum" and reverse
    call = (
        f"contiguous_scan<T, T, {operation}<T>, 4, {str(not exclusive).lower()},"
        f" {str(reverse).lower()}>(x, out, 777, tid, gsize, lid, lsize, lane, simd);"
    )
    got = _run(
        ["binary_ops.h", "scan.h"],
        call,
        {"x": x},
        x.shape,
        "float32",
        grid=(128, 3, 1),
        threadgroup=(128, 1, 1),
    )
    name = {"CumSum": "cumsum", "CumMax": "cummax", "CumProd": "cumprod"}[operation]
    exact = getattr(mx, name)(mx.array(x), axis=1, reverse=reverse, inclusive=not exclusive)
    _close(got, np.array(exact).astype(np.float64), "float32", 10)


@pytest.mark.parametrize("arg_sort", [False, True])
def test_sort(arg_sort: bool) -> None:
    x = _random(4, 500)
    kind = "uint" if arg_sort else "T"
    call = (
        f"block_sort<T, {kind}, {str(arg_sort).lower()}, 128, 4>(x, out, 500, 1, 1, 500, 500,"
        " tid, lid);"
    )
    got = _run(
        ["sort.h"],
        call,
        {"x": x},
        x.shape,
        "uint32" if arg_sort else "float32",
        grid=(128, 4, 1),
        threadgroup=(128, 1, 1),
    )
    sort = np.argsort if arg_sort else np.sort
    np.testing.assert_array_equal(got, sort(x, axis=1))


@DTYPES
def test_reduction(dtype: str) -> None:
    x = _random(10_000, dtype=dtype)
    call = "all_reduce<T, float, Sum<float>>(x, out, 10000, 10000, tid, lid, lsize, simds,"
    call += " lane, simd);"
    headers = ["atomic.h", "reduction/ops.h", "reduce_utils.h", "reduction/reduce_all.h"]
    got = _run(headers, call, {"x": x}, (1,), "float32", grid=(256, 1, 1), threadgroup=(256, 1, 1))
    np.testing.assert_allclose(got[0], x.astype(np.float64).sum(), rtol=1e-4, atol=1e-2)


@DTYPES
def test_attention_of_one_query(dtype: str) -> None:
    heads, kv_heads, length, d = 4, 2, 70, 64
    q, k, v = (
        _random(h, n, d, dtype=dtype, seed=i)
        for i, (h, n) in enumerate([(heads, 1), (kv_heads, length), (kv_heads, length)])
    )
    call = f"""
      device const bool* no_mask = nullptr;
      sdpa_vector<T, {d}>(q, k, v, out, {heads // kv_heads}, {length}, {length * d}, {d},
        {length * d}, {d}, 0.125f, no_mask, q, 0, 0, 0, q, {heads}, tid, gsize, simd, lane);
    """
    got = _run(
        ["sdpa_vector.h"],
        call,
        {"q": q, "k": k, "v": v},
        q.shape,
        dtype,
        grid=(1024 * heads, 1, 1),
        threadgroup=(1024, 1, 1),
    )
    wide = [x.astype(np.float64) for x in (q, k.repeat(2, 0), v.repeat(2, 0))]
    scores = np.exp(wide[0] @ wide[1].swapaxes(1, 2) * 0.125)
    _close(got, scores / scores.sum(-1, keepdims=True) @ wide[2], dtype)


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        pytest.param("float32", marks=pytest.mark.slow),
        pytest.param("bfloat16", marks=pytest.mark.slow),
    ],
)
def test_tiled_matrix_product(dtype: str) -> None:
    m, n, k = 70, 130, 50
    a, b = _random(m, k, dtype=dtype), _random(n, k, dtype=dtype, seed=1)
    tiles_m, tiles_n = -(-m // 32), -(-n // 32)
    call = f"""
      const GEMMParams params = {{{m}, {n}, {k}, {k}, {k}, {n}, {tiles_n}, {tiles_m}, 0, 0, 0, 0,
                                 {k // 16}, 0}};
      const GEMMAddMMParams none = {{}};
      device const T* nothing = nullptr;
      gemm<T, 32, 32, 16, 2, 2, false, true, float>(a, b, nothing, out, &params, &none, nullptr,
        nullptr, lane, simd, tid, lid);
    """
    got = _run(
        ["steel/gemm/gemm.h", "steel/gemm/kernels/steel_gemm_fused.h"],
        call,
        {"a": a, "b": b},
        (m, n),
        dtype,
        grid=(32 * tiles_n, 2 * tiles_m, 2),
        threadgroup=(32, 2, 2),
    )
    _close(got, a.astype(np.float64) @ b.astype(np.float64).T, dtype, 10)


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        ("float32", 4),
        pytest.param("float16", 8, marks=pytest.mark.slow),
        pytest.param("bfloat16", 2, marks=pytest.mark.slow),
    ],
)
def test_quantised_products(dtype: str, bits: int) -> None:
    n, k, m = 64, 512, 32
    weight = mx.array(_random(n, k))
    packed, scales, biases = mx.quantize(weight, group_size=64, bits=bits)
    exact = np.array(mx.dequantize(packed, scales, biases, group_size=64, bits=bits))
    x = _random(m, k, dtype=dtype)
    inputs = {
        "x": x,
        "w": np.array(packed),
        "s": as_dtype(np.array(scales), dtype),
        "b": as_dtype(np.array(biases), dtype),
    }
    none = "nullptr, nullptr, 0, nullptr, nullptr, nullptr, nullptr"
    headers = ["steel/gemm/gemm.h", "quantized_utils.h", "quantized.h"]
    vector = f"affine_qmv_fast<T, 64, {bits}, false>(w, s, b, x, out, {k}, {n}, 0, {none}, tid,"
    tile = f"affine_qmm_t<T, 64, {bits}, true, false>(w, s, b, x, out, {k}, {n}, {m}, 0, {none},"
    shape, wide = (m, n), x.astype(np.float64) @ exact.astype(np.float64).T
    got = _run(
        headers,
        f"{vector} simd, lane);",
        inputs,
        shape,
        dtype,
        grid=(32 * m, 2 * n // 8, 1),
        threadgroup=(32, 2, 1),
    )
    _close(got, wide, dtype, 30)
    got = _run(
        headers,
        f"uint index = thread_index_in_threadgroup; {tile} tid, index, simd, lane);",
        inputs,
        shape,
        dtype,
        grid=(n, 2 * m // 32, 2),
        threadgroup=(32, 2, 2),
    )
    _close(got, wide, dtype, 30)


GROUPS = {
    "elementwise": ["unary_ops.h", "unary.h", "binary_ops.h", "binary.h", "ternary_ops.h"],
    "copies": ["arange.h", "copy.h", "ternary_ops.h", "ternary.h"],
    "reductions": [
        "atomic.h",
        "reduction/ops.h",
        "reduce_utils.h",
        "reduction/reduce_init.h",
        "reduce.h",
    ],
    "indexing": [
        "atomic.h",
        "reduction/ops.h",
        "indexing/gather.h",
        "indexing/gather_axis.h",
        "indexing/scatter.h",
        "indexing/scatter_axis.h",
    ],
    "attention": ["steel/attn/attn.h", "steel/attn/kernels/steel_attention.h"],
    "convolution": ["steel/gemm/mma.h", "steel/conv/conv.h", "steel/conv/kernels/steel_conv.h"],
    "fourier": ["steel/defines.h", "fft.h"],
    "vectors": ["steel/utils.h", "gemv.h"],
    "masked vectors": ["steel/utils.h", "gemv_masked.h"],
    "narrow": ["fp8.h", "fp4.h", "erf.h", "expm1f.h", "cexpf.h"],
}


@pytest.mark.parametrize(
    "group",
    [
        g if g in ("elementwise", "attention") else pytest.param(g, marks=pytest.mark.slow)
        for g in GROUPS
    ],
)
def test_headers_are_read(group: str) -> None:
    x = np.zeros(16, np.float32)
    header = text_of(GROUPS[group]) + "\n"
    built = build("out[0] = 1;", {"x": x}, {"out": ((1,), "float32")}, header=header)
    assert not isinstance(built, BuildFailure), built.log
