"""SIMD-group and quad-group functions, SIMD-group matrices, barriers and atomics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msl_lang import Array, as_dtype, run

LANES = np.arange(32)
TYPES = [
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
]


def _values(dtype: str, count: int = 64) -> Array:
    random = np.random.default_rng(17)
    low = 1 if dtype.startswith("u") else -3
    return as_dtype(random.integers(low, 4, count).astype(np.float64), dtype)


def _run(body: str, x: Array, outputs: dict[str, str], count: int = 64) -> dict[str, Array]:
    """One body over `count` threads in threadgroups of 64; outputs have a value per thread."""
    return run(
        f"uint i = thread_position_in_grid.x; uint lane = thread_index_in_simdgroup;\n{body}",
        {"x": x},
        {name: ((count,), dtype) for name, dtype in outputs.items()},
        grid=(count, 1, 1),
        threadgroup=(64, 1, 1),
    )


def _groups(x: Array, width: int = 32) -> Array:
    return x.reshape(-1, width)


REDUCTIONS: dict[str, Callable[[Array], Any]] = {
    "simd_sum": lambda x: x.sum(1, keepdims=True),
    "simd_product": lambda x: x.prod(1, keepdims=True),
    "simd_min": lambda x: x.min(1, keepdims=True),
    "simd_max": lambda x: x.max(1, keepdims=True),
    "simd_prefix_inclusive_sum": lambda x: x.cumsum(1),
    "simd_prefix_exclusive_sum": lambda x: x.cumsum(1) - x,
    "simd_prefix_inclusive_product": lambda x: x.cumprod(1),
    "simd_prefix_exclusive_product": lambda x: np.c_[np.ones(len(x)), x.cumprod(1)[:, :-1]],
}


@pytest.mark.parametrize("dtype", [dtype for dtype in TYPES if "64" not in dtype])
def test_reductions_and_scans_of_every_type(dtype: str) -> None:
    x = _values(dtype)
    logic = [] if "float" in dtype else ["simd_and", "simd_or", "simd_xor"]
    small = x.copy()
    small[np.abs(x.astype(np.float64)) > 1.5] = 1  # products stay in range
    if "float" not in dtype and not dtype.startswith("u"):
        small[small == 0] = -1
    operations = [*REDUCTIONS, *logic]
    body = "\n".join(f"r_{n}[i] = {n}(x[i + {64 if 'product' in n else 0}]);" for n in operations)
    got = _run(body, np.concatenate([x, small]), {f"r_{n}": dtype for n in operations})
    wide = _groups(x).astype(np.float64 if "float" in dtype else np.int64)
    ones = _groups(small).astype(wide.dtype)
    bitwise = {"simd_and": np.bitwise_and, "simd_or": np.bitwise_or, "simd_xor": np.bitwise_xor}
    for name in operations:
        if name in bitwise:
            exact = bitwise[name].reduce(_groups(x), axis=1, keepdims=True)
        else:
            exact = REDUCTIONS[name](ones if "product" in name else wide)
        with np.errstate(all="ignore"):
            exact = as_dtype(np.broadcast_to(exact, (2, 32)).ravel(), dtype)
        np.testing.assert_array_equal(got[f"r_{name}"], exact, err_msg=name)


def _take(index: Array) -> Callable[[Array], Array]:
    """Values of other lanes of the same SIMD-group; lanes outside keep their own."""
    own = np.where((index >= 0) & (index < 32), index, LANES)
    return lambda x: np.asarray(_groups(x)[:, own].ravel())


SHUFFLES: dict[str, Callable[[Array], Array]] = {
    "simd_shuffle(v, 31 - lane)": _take(31 - LANES),
    "simd_broadcast(v, 5)": _take(np.full(32, 5)),
    "simd_broadcast_first(v)": _take(np.zeros(32, int)),
    "simd_shuffle_xor(v, 5)": _take(LANES ^ 5),
    "simd_shuffle_down(v, 3)": _take(LANES + 3),
    "simd_shuffle_up(v, 3)": _take(LANES - 3),
    "simd_shuffle_rotate_down(v, 3)": _take((LANES + 3) % 32),
    "simd_shuffle_rotate_up(v, 3)": _take((LANES - 3) % 32),
    "quad_shuffle(v, 3 - lane % 4)": _take(LANES ^ 3),
    "quad_broadcast(v, 2)": _take(LANES // 4 * 4 + 2),
    "quad_broadcast_first(v)": _take(LANES // 4 * 4),
    "quad_shuffle_xor(v, 1)": _take(LANES ^ 1),
    "quad_shuffle_down(v, 1)": _take(np.where(LANES % 4 < 3, LANES + 1, LANES)),
    "quad_shuffle_up(v, 1)": _take(np.where(LANES % 4 > 0, LANES - 1, LANES)),
    "quad_shuffle_rotate_down(v, 1)": _take(LANES // 4 * 4 + (LANES + 1) % 4),
    "quad_shuffle_rotate_up(v, 1)": _take(LANES // 4 * 4 + (LANES - 1) % 4),
}


WIDE = ["int64", "uint64", "bool"]
"""Metal shuffles these not at all; MLX's preamble does so for some functions."""
IN_MLX = ("simd_shuffle(", "simd_shuffle_down(", "simd_shuffle_up(")


@pytest.mark.parametrize("dtype", dict.fromkeys([*TYPES, *WIDE]))
def test_shuffles_of_every_type(dtype: str) -> None:
    x = _values("int32").astype(bool) if dtype == "bool" else _values(dtype)
    calls = {c: f for c, f in SHUFFLES.items() if dtype not in WIDE or c.startswith(IN_MLX)}
    body = "auto v = x[i];\n" + "\n".join(f"o{k}[i] = {c};" for k, c in enumerate(calls))
    mlx_name = "bool_" if dtype == "bool" else dtype
    got = _run(body, x, {f"o{k}": mlx_name for k in range(len(calls))})
    for k, (call, expected) in enumerate(calls.items()):
        np.testing.assert_array_equal(got[f"o{k}"], expected(x), err_msg=call)


def test_shuffles_that_fill() -> None:
    x = np.arange(64, dtype=np.int32)
    body = """
      int fill = 1000 + x[i];
      d[i] = simd_shuffle_and_fill_down(x[i], fill, 3);
      u[i] = simd_shuffle_and_fill_up(x[i], fill, 3);
      dm[i] = simd_shuffle_and_fill_down(x[i], fill, 3, 8);
      um[i] = simd_shuffle_and_fill_up(x[i], fill, 3, 8);
      qd[i] = quad_shuffle_and_fill_down(x[i], fill, 1);
      qu[i] = quad_shuffle_and_fill_up(x[i], fill, 1);
    """
    got = _run(body, x, dict.fromkeys(["d", "u", "dm", "um", "qd", "qu"], "int32"))
    for name, width, delta in [("d", 32, 3), ("dm", 8, 3), ("qd", 4, 1)]:
        rows = _groups(x, width)
        expected = np.concatenate([rows[:, delta:], rows[:, :delta] + 1000], axis=1)
        np.testing.assert_array_equal(got[name], expected.ravel(), err_msg=name)
    for name, width, delta in [("u", 32, 3), ("um", 8, 3), ("qu", 4, 1)]:
        rows = _groups(x, width)
        expected = np.concatenate([rows[:, -delta:] + 1000, rows[:, :-delta]], axis=1)
        np.testing.assert_array_equal(got[name], expected.ravel(), err_msg=name)


def test_vectors_of_every_size_travel() -> None:
    x = np.arange(64 * 4, dtype=np.float32)
    body = """
      float4 v = ((device const float4*)x)[i];
      float4 s = simd_sum(v); half3 h = simd_shuffle_xor(half3(v.xyz), 1);
      int4 l = simd_max(int4(v));
      bfloat2 b = simd_broadcast(bfloat2(v.xy), 2); uchar4 c = quad_sum(uchar4(v));
      int3 p = simd_prefix_inclusive_sum(int3(v.xyz));
      o0[i] = s.w; o1[i] = float(h.z); o2[i] = float(l.y); o3[i] = float(b.y); o4[i] = float(c.x);
      o5[i] = float(p.z);
    """
    got = _run(body, x, {f"o{k}": "float32" for k in range(6)})
    v = x.reshape(2, 32, 4)
    np.testing.assert_array_equal(got["o0"], np.repeat(v[..., 3].sum(1), 32))
    np.testing.assert_array_equal(got["o1"], v[:, LANES ^ 1, 2].ravel())
    np.testing.assert_array_equal(got["o2"], np.repeat(v[..., 1].max(1), 32))
    np.testing.assert_array_equal(got["o3"], np.repeat(as_dtype(v[:, 2, 1], "bfloat16"), 32))
    quads = v[..., 0].astype(np.uint8).reshape(-1, 4).sum(1, dtype=np.uint8)
    np.testing.assert_array_equal(got["o4"], np.repeat(quads, 4))
    np.testing.assert_array_equal(got["o5"], v[..., 2].cumsum(1).ravel())


def test_votes_and_masks() -> None:
    x = np.random.default_rng(3).integers(0, 2, 64).astype(np.int32)
    body = """
      b[i] = uint64_t(simd_ballot(x[i] > 0)); al[i] = simd_all(x[i] >= 0);
      an[i] = simd_any(x[i] > 1);
      m[i] = ulong(simd_active_threads_mask()); f[i] = simd_is_first();
      q[i] = uint(quad_ballot(x[i] > 0)); qa[i] = quad_all(x[i] > 0); qn[i] = quad_any(x[i] > 0);
      if (lane % 3 == 1) { odd[i] = ulong(simd_active_threads_mask()); first[i] = simd_is_first();
                           part[i] = simd_sum(x[i]); }
      else { odd[i] = 0; first[i] = false; part[i] = 0; }
      vote[i] = simd_ballot(true).all() && !simd_ballot(false).any();
    """
    kinds = {"b": "uint64", "al": "bool_", "an": "bool_", "m": "uint64", "f": "bool_"}
    kinds |= {"q": "uint32", "qa": "bool_", "qn": "bool_", "odd": "uint64", "first": "bool_"}
    kinds |= {"part": "int32", "vote": "bool_"}
    got = _run(body, x, kinds)
    bits = (_groups(x) > 0) @ (1 << LANES.astype(np.uint64))
    np.testing.assert_array_equal(got["b"], np.repeat(bits, 32))
    assert got["al"].all()
    assert not got["an"].any()
    assert got["vote"].all()
    assert (got["m"] == 2**32 - 1).all()
    np.testing.assert_array_equal(got["f"], np.tile(LANES == 0, 2))
    quads = x.reshape(-1, 4) > 0
    np.testing.assert_array_equal(got["q"], np.repeat(quads @ np.array([1, 2, 4, 8]), 4))
    np.testing.assert_array_equal(got["qa"], np.repeat(quads.all(1), 4))
    np.testing.assert_array_equal(got["qn"], np.repeat(quads.any(1), 4))
    branch = LANES % 3 == 1
    mask = int(sum(1 << int(i) for i in LANES[branch]))
    np.testing.assert_array_equal(got["odd"], np.tile(np.where(branch, mask, 0), 2))
    np.testing.assert_array_equal(got["first"], np.tile(LANES == 1, 2))
    sums = (_groups(x) * branch).sum(1, keepdims=True)
    np.testing.assert_array_equal(got["part"], (sums * branch).ravel())


def test_edge_groups_have_fewer_lanes() -> None:
    x = np.arange(1, 41, dtype=np.float32)
    body = "s[i] = simd_sum(x[i]); m[i] = simd_min(x[i]); d[i] = simd_shuffle_down(x[i], 1);"
    got = _run(body, x, {"s": "float32", "m": "float32", "d": "float32"}, count=40)
    np.testing.assert_array_equal(
        got["s"], np.r_[np.full(32, x[:32].sum()), np.full(8, x[32:].sum())]
    )
    np.testing.assert_array_equal(got["m"], np.r_[np.full(32, 1), np.full(8, 33)])
    inner = np.r_[0:31, 32:39]
    np.testing.assert_array_equal(got["d"][inner], x[inner + 1])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_simdgroup_matrices(dtype: str) -> None:
    random = np.random.default_rng(2)
    a, b = (as_dtype(random.integers(-4, 5, (16, 24)).astype(np.float64), dtype) for _ in range(2))
    body = """
      simdgroup_matrix<T, 8, 8> ma, mb, mt, mo = make_filled_simdgroup_matrix<T, 8, 8>(T(2));
      simdgroup_float8x8 acc(0), twice;
      simdgroup_load(ma, a, 24); simdgroup_load(mb, b, 24, ulong2(8, 8));
      simdgroup_load(mt, b, 24, ulong2(8, 8), true);
      simdgroup_multiply_accumulate(acc, ma, mb, acc);
      simdgroup_store(acc, product, 8);
      simdgroup_multiply(twice, ma, mt);
      simdgroup_multiply_accumulate(acc, ma, mt, acc);
      simdgroup_store(acc, total, 16, ulong2(8, 0));
      simdgroup_store(twice, total, 16, ulong2(0, 0), true);
      simdgroup_multiply_accumulate(mo, ma, mb, mo);
      simdgroup_store(mo, narrow, 8);
      simdgroup_matrix<T, 8, 8> eye(T(1));
      eye.thread_elements()[0] *= T(3);
      eye.thread_elements()[1] *= T(5);
      simdgroup_store(eye, diagonal, 8);
      uint lane = thread_index_in_simdgroup;
      uint qid = lane / 4, row = (qid & 4) + (lane / 2) % 4;
      uint column = (qid & 2) * 2 + lane % 2 * 2;
      reinterpret_cast<thread vec<T, 2>&>(ma.thread_elements()) = vec<T, 2>(T(row), T(column));
      simdgroup_store(ma, layout, 8);
    """
    got = run(
        body,
        {"a": a, "b": b},
        {
            "product": ((8, 8), "float32"),
            "total": ((8, 16), "float32"),
            "narrow": ((8, 8), dtype),
            "diagonal": ((8, 8), dtype),
            "layout": ((8, 8), dtype),
        },
        grid=(32, 1, 1),
        threadgroup=(32, 1, 1),
        template=[("T", dtype)],
    )
    left, right = a[:8, :8].astype(np.float64), b[8:16, 8:16].astype(np.float64)
    np.testing.assert_array_equal(got["product"], left @ right)
    np.testing.assert_array_equal(got["total"][:, 8:], left @ right + left @ right.T)
    np.testing.assert_array_equal(got["total"][:, :8], (left @ right.T).T)
    np.testing.assert_array_equal(got["narrow"], as_dtype(left @ right + 2, dtype))
    scales = np.where(np.arange(8) % 2 == 0, 3, 5)
    np.testing.assert_array_equal(got["diagonal"].astype(np.float64), np.diag(scales))
    rows, columns = np.mgrid[0:8, 0:8]
    expected = np.where(columns % 2 == 0, rows, columns - 1)
    np.testing.assert_array_equal(got["layout"].astype(np.float64), expected)


def test_threadgroup_memory_barriers_and_fences() -> None:
    x = np.random.default_rng(4).standard_normal(256).astype(np.float32)
    body = """
      threadgroup float shared_values[64]; threadgroup float4 corner; threadgroup uint counter;
      uint t = thread_index_in_threadgroup; uint i = thread_position_in_grid.x;
      shared_values[t] = x[i];
      if (t == 0) { corner = float4(1, 2, 3, 4); counter = 7; }
      threadgroup_barrier(mem_flags::mem_threadgroup);
      float v = shared_values[63 - t] + corner.y + counter;
      threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
      for (uint stride = 32; stride > 0; stride /= 2) {
        if (t < stride) shared_values[t] = metal::max(shared_values[t], shared_values[t + stride]);
        threadgroup_barrier(mem_flags::mem_threadgroup);
      }
      simdgroup_barrier(mem_flags::mem_none);
      atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, thread_scope_device);
      out[i] = v + shared_values[0];
    """
    got = run(
        body,
        {"x": x},
        {"out": ((256,), "float32")},
        grid=(256, 1, 1),
        threadgroup=(64, 1, 1),
    )["out"]
    rows = x.reshape(4, 64)
    expected = rows[:, ::-1] + np.float32(2) + np.float32(7) + rows.max(1, keepdims=True)
    np.testing.assert_array_equal(got, expected.ravel())


def test_atomics_of_device_memory() -> None:
    x = np.random.default_rng(6).integers(-50, 50, 4096).astype(np.int32)
    body = """
      uint i = thread_position_in_grid.x; int v = x[i];
      atomic_fetch_add_explicit(&out[0], v, memory_order_relaxed);
      atomic_fetch_sub_explicit(&out[1], v, memory_order_relaxed);
      atomic_fetch_min_explicit(&out[2], v, memory_order_relaxed);
      atomic_fetch_max_explicit(&out[3], v, metal::memory_order_relaxed);
      atomic_fetch_or_explicit(&out[4], 1 << (i % 31), memory_order_relaxed);
      atomic_fetch_xor_explicit(&out[5], v, memory_order_relaxed);
      atomic_fetch_and_explicit(&out[6], v, memory_order_relaxed);
      int seen = atomic_load_explicit(&out[7], memory_order_relaxed);
      while (!atomic_compare_exchange_weak_explicit(&out[7], &seen, seen + (v & 1),
                                                    memory_order_relaxed, memory_order_relaxed)) {}
      if (i == 9) atomic_store_explicit(&out[8], 77, memory_order_relaxed);
      if (i == 5) { int old = atomic_exchange_explicit(&out[9], 3, memory_order_relaxed);
                    atomic_store_explicit(&out[10], old + 1, memory_order_relaxed); }
    """
    got = run(
        body,
        {"x": x},
        {"out": ((11,), "int32")},
        grid=(4096, 1, 1),
        threadgroup=(128, 1, 1),
        init_value=0.0,
        atomic_outputs=True,
    )["out"]
    expected = [x.sum(), -x.sum(), x.min(), x.max(), 2**31 - 1, np.bitwise_xor.reduce(x), 0]
    np.testing.assert_array_equal(got, [*expected, (x & 1).sum(), 77, 3, 1])


def test_atomics_of_other_types_and_of_threadgroup_memory() -> None:
    x = np.random.default_rng(8).uniform(0, 1, 2048).astype(np.float32)
    body = """
      threadgroup atomic_uint bins[4]; threadgroup atomic_int sum;
      threadgroup atomic_bool any_big;
      uint t = thread_index_in_threadgroup; uint i = thread_position_in_grid.x;
      if (t < 4) atomic_store_explicit(&bins[t], 0u, memory_order_relaxed);
      if (t == 0) { atomic_store_explicit(&sum, 0, memory_order_relaxed);
                    atomic_store_explicit(&any_big, false, memory_order_relaxed); }
      threadgroup_barrier(mem_flags::mem_threadgroup);
      atomic_fetch_add_explicit(&bins[min(uint(x[i] * 4), 3u)], 1u, memory_order_relaxed);
      atomic_fetch_add_explicit(&sum, 1, memory_order_relaxed);
      atomic_fetch_or_explicit(&any_big, x[i] > 0.999f, memory_order_relaxed);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      if (t < 4) counts[threadgroup_position_in_grid.x * 4 + t] =
          atomic_load_explicit(&bins[t], memory_order_relaxed);
      if (t == 0) sums[threadgroup_position_in_grid.x] =
          atomic_load_explicit(&sum, memory_order_relaxed)
          + 100 * atomic_load_explicit(&any_big, memory_order_relaxed);
      device atomic_ulong* top = (device atomic_ulong*)wide;
      if (i < 64) atomic_max_explicit(&top[0], ulong(x[i] * 1e6f), memory_order_relaxed);
      volatile device atomic_float* total = (volatile device atomic_float*)floats;
      atomic_fetch_add_explicit(total, 0.5f, memory_order_relaxed);
    """
    got = run(
        body,
        {"x": x},
        {
            "counts": ((8, 4), "uint32"),
            "sums": ((8,), "float32"),
            "wide": ((1,), "uint64"),
            "floats": ((1,), "float32"),
        },
        grid=(2048, 1, 1),
        threadgroup=(256, 1, 1),
        init_value=0.0,
    )
    rows = x.reshape(8, 256)
    expected = np.stack([np.bincount((r * 4).astype(int), minlength=4) for r in rows])
    np.testing.assert_array_equal(got["counts"], expected)
    np.testing.assert_array_equal(got["sums"], 256 + 100 * (rows > np.float32(0.999)).any(1))
    assert got["wide"][0] == (x[:64] * np.float32(1e6)).astype(np.uint64).max()
    assert got["floats"][0] == 1024
