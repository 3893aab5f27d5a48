"""The names MLX's preamble gives to kernels: element locations, complex numbers, helpers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from msl_lang import Array, build, checks, run

from foundry.program import BuildFailure


def _flat(shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    grids = np.indices(shape).reshape(len(shape), -1)
    return np.asarray(np.tensordot(np.array(strides), grids, 1))


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((5, 7), (9, 1)), ((2, 3, 5), (1, 40, 2)), ((3, 2, 4, 5), (100, 0, 7, 1)), ((4, 3), (0, 2))],
)
def test_element_locations_follow_shape_and_strides(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    count, ndim = int(np.prod(shape)), len(shape)
    inputs: dict[str, Array] = {
        "shape": np.array([*shape, *[1] * (7 - ndim)], np.int32),
        "strides": np.array([*strides, *[0] * (7 - ndim)], np.int64),
        "other": np.array([*strides[::-1], *[0] * (7 - ndim)], np.int64),
    }
    body = f"""
      uint i = thread_position_in_grid.x; const int ndim = {ndim};
      flat[i] = elem_to_loc(i, shape, strides, ndim);
      wide[i] = elem_to_loc<int64_t>(int64_t(i), shape, strides, ndim);
      uint inner = shape[ndim - 1], next = shape[ndim - 2];
      uint3 at(i % inner, i / inner % next, i / (inner * next));
      split[i] = elem_to_loc<int>(at, shape, strides, ndim);
      vec<int64_t, 2> both = elem_to_loc_2_nd(at, shape, strides, other, ndim);
      two[i] = both.x * 1000 + both.y;
      vec<int, 3> three = elem_to_loc_3_nd<int>(at, shape, strides, other, strides, ndim);
      tri[i] = three.x + three.y + three.z;
      LoopedElemToLoc<{max(1, ndim - 1)}, int64_t> walk({ndim});
      for (uint k = 0; k < i; ++k) walk.next(shape, strides);
      looped[i] = walk.location();
      LoopedElemToLoc<{max(1, ndim - 1)}, int64_t> jump({ndim});
      jump.next(int(i), shape, strides);
      jumped[i] = jump.location();
    """
    names = ["flat", "wide", "split", "two", "tri", "looped", "jumped"]
    got = run(body, inputs, dict.fromkeys(names, ((count,), "int64")), grid=(count, 1, 1))
    first, second = _flat(shape, strides), _flat(shape, strides[::-1])
    for name in ["flat", "wide", "split", "looped", "jumped"]:
        np.testing.assert_array_equal(got[name], first, err_msg=name)
    np.testing.assert_array_equal(got["two"], first * 1000 + second)
    np.testing.assert_array_equal(got["tri"], 2 * first + second)


def test_helpers() -> None:
    header = """
    constant int64_t some_strides[3] = {20, 3, 1};
    template <typename T> T widest() { return Limits<T>::max; }
    """
    expressions = [
        "ceildiv(7, 2) == 4 && ceildiv(8u, 4u) == 2 && ceildiv(0, 5) == 0",
        "elem_to_loc_1(3, some_strides[1]) == 9 && elem_to_loc_2(uint2(1, 2), some_strides) == 43",
        "elem_to_loc_3(uint3(1, 2, 3), some_strides) == 67",
        "WorkPerThread<float>::n == 2 && WorkPerThread<half>::n == 4",
        "WorkPerThread<char>::n == 8",
        "Limits<int>::max == INT_MAX && Limits<int8_t>::min == -128 && Limits<bool>::max",
        "isinf(Limits<bfloat16_t>::min) && widest<float>() == INFINITY && Limits<uint>::min == 0u",
        "is_same_v<bfloat16_t, bfloat> && is_same_v<float16_t, half>",
        "is_same_v<ConditionalType<true, int, float>::type, int>",
        "is_same_v<ConditionalType<false, int, float>::type, float>",
        "cast_to<bool>(0.5f) && !cast_to<bool>(0.0f) && cast_to<int>(2.7f) == 2",
        "cast_to<bool>(1e-40f) && cast_to<bool>(complex64_t(0, 1))",
        "!cast_to<bool>(bfloat16_t(0))",
        "abs(log1p(1e-10f) - 1e-10f) < 1e-16f && log1p(0.0f) == 0 && log1p(-1.0f) == -INFINITY",
        "abs(log1p(1.0f) - 0.6931472f) < 1e-6f && log1p(INFINITY) == INFINITY",
        "abs(float(log1p(bfloat16_t(1))) - 0.6931472f) < 2e-3f",
        "hypot(3.0f, 4.0f) == 5 && hypot(3e38f, 0.0f) == 3e38f && isinf(hypot(NAN, INFINITY))",
        "bfloat16_to_uint16(bfloat16_t(1)) == 0x3f80 && uint16_to_bfloat16(0x4000) == 2",
        "REDUCE_N_READS == 4 && RMS_LOOPED_LIMIT == 4096 && MAX_REDUCE_SPECIALIZED_DIMS == 4",
    ]
    results = checks(expressions, header)
    assert all(results), [e for e, ok in zip(expressions, results, strict=True) if not ok]


def test_complex_arithmetic() -> None:
    header = """
    float2 parts(complex64_t c) { return float2(c.real, c.imag); }
    bool is(complex64_t c, float re, float im) { return c.real == re && c.imag == im; }
    bool near(complex64_t c, float re, float im) {
      return length(parts(c) - float2(re, im)) < 1e-6f;
    }
    constant constexpr complex32_t product = complex32_t{1.0h, 2.0h} * complex32_t{3.0h, 4.0h};
    """
    a, b = "complex64_t(1, 2)", "complex64_t(3, -1)"
    expressions = [
        f"is({a} + {b}, 4, 1) && is({a} - {b}, -2, 3) && is({a} * {b}, 5, 5)",
        f"near(({a} * {b}) / {b}, 1, 2) && is(-{a}, -1, -2) && is({a} * 2.0f, 2, 4)",
        f"is(1 + {a}, 2, 2) && is({a} - 1, 0, 2) && is(10.0f / complex64_t(0, 2), 0, -5)",
        f"{a} < {b} && {b} >= {a} && {a} == {a} && !({a} > {b}) && {a} != {b}",
        "is(complex64_t(half(2)), 2, 0) && is(complex64_t(3), 3, 0)",
        "float(complex64_t(5, 6)) == 5",
        "is(complex64_t(float2(1, 2)), 1, 2) && all(float2(complex64_t(3, 4)) == float2(3, 4))",
        "is(complex64_t(5.5f, -5.5f) % complex64_t(2, 2), 1.5f, 0.5f)",
        "product.real == -5.0h && product.imag == 10.0h && sizeof(complex64_t) == 8",
        "[] { complex64_t c = 1; c += complex64_t(0, 1); c *= c; return is(c, 0, 2); }()",
        "Limits<complex64_t>::max.real == INFINITY && is_complex_v<complex64_t>",
        "abs(log1p(complex64_t(0, 1)).real - 0.34657359f) < 1e-6f",
        "abs(log1p(complex64_t(0, 1)).imag - 0.78539816f) < 1e-6f",
    ]
    results = checks(expressions, header)
    assert all(results), [e for e, ok in zip(expressions, results, strict=True) if not ok]


def test_complex_buffers_and_shuffles() -> None:
    random = np.random.default_rng(1)
    x = (random.standard_normal(32) + 1j * random.standard_normal(32)).astype(np.complex64)
    body = """
      uint i = thread_position_in_grid.x;
      out[i] = simd_shuffle_down(x[i], 1) * complex64_t(0, 1) + x[i];
      up[i] = simd_shuffle_up(x[i], 2); any[i] = simd_shuffle(x[i], 31 - i);
    """
    got = run(
        body,
        {"x": x},
        dict.fromkeys(["out", "up", "any"], ((32,), "complex64")),
        grid=(32, 1, 1),
        threadgroup=(32, 1, 1),
    )
    down = np.r_[x[1:], x[-1:]]
    np.testing.assert_allclose(got["out"], down * 1j + x, rtol=1e-6)
    np.testing.assert_array_equal(got["up"], np.r_[x[:2], x[:-2]])
    np.testing.assert_array_equal(got["any"], x[::-1])


def test_tiles_of_grouped_rows_are_found() -> None:
    offsets = np.array([0, 5, 5, 17, 40], np.int32)
    total, tile = 44, 8
    body = """
      uint tile = threadgroup_position_in_grid.x; int row = -1, group = -1; short rows = -1;
      bool found = schedule_row_tile<8>(offsets, 5, 44, tile, thread_index_in_simdgroup,
                                        row, group, rows);
      if (thread_index_in_simdgroup == 0) {
        out[tile * 4] = found; out[tile * 4 + 1] = row; out[tile * 4 + 2] = group;
        out[tile * 4 + 3] = rows;
      }
    """
    tiles = []
    for group, start in enumerate(offsets):
        end = offsets[group + 1] if group + 1 < len(offsets) else total
        tiles += [(1, r, group, min(tile, end - r)) for r in range(start, end, tile)]
    got = run(
        body,
        {"offsets": np.r_[offsets, np.zeros(4, np.int32)]},
        {"out": ((len(tiles) + 1, 4), "int32")},
        grid=(32 * (len(tiles) + 1), 1, 1),
        threadgroup=(32, 1, 1),
    )["out"]
    np.testing.assert_array_equal(got[:-1], np.array(tiles))
    assert got[-1, 0] == 0


def test_every_public_name_of_the_installed_preamble_is_known() -> None:
    """A new MLX that adds a name to its preamble fails here first."""
    import mlx

    folder = Path(next(iter(mlx.__path__))) / "include/mlx/backend/metal/kernels"
    text = "\n".join(
        (folder / name).read_text()
        for name in ["bf16.h", "complex.h", "defines.h", "logging.h", "utils.h"]
    )
    text = re.sub(r"//.*", "", text)
    types = set(re.findall(r"^(?:struct|using)\s+(\w+)(?=\s*[={])", text, re.MULTILINE))
    functions = set(
        re.findall(r"^(?:METAL_FUNC|inline|[a-z]\w+_t)\b[^;={}\n]*?(\w+)\(", text, re.M)
    )
    constants = set(re.findall(r"\b([A-Z][A-Z_]+[A-Z]) = ", text))
    macros = set(re.findall(r"#define ((?:MTL|MLX)_\w+)", text))
    assert {"Limits", "complex64_t", "LoopedElemToLoc"} <= types
    assert "ceildiv" in functions
    functions -= {"operator", "constexpr"}
    lines = [f"using ::{name};" for name in sorted(types - {"os_log"})]
    lines += [f"using ::{name};" for name in sorted(functions)]
    lines += [f"static_assert({name} >= 0);" for name in sorted(constants)]
    lines += [f"#ifndef {name}\n#error {name}\n#endif" for name in sorted(macros)]
    header = "namespace names {\n" + "\n".join(lines) + "\n}\n"
    x = np.zeros(1, np.float32)
    built = build("out[0] = 1;", {"x": x}, {"out": ((1,), "float32")}, header=header)
    assert not isinstance(built, BuildFailure), built.log
