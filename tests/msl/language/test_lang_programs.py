"""What a kernel's header may hold beside functions, and what a GPU does not stop on."""

from __future__ import annotations

import numpy as np
import pytest
from msl_lang import checks, run


def test_instantiations_of_other_kernels_are_passed_over() -> None:
    header = """
    template <typename T>
    [[kernel]] void fill(device T* x [[buffer(0)]], threadgroup T* shared [[threadgroup(0)]],
                         uint i [[thread_index_in_threadgroup]]) { x[i] = shared[i]; }
    template [[host_name("fill_float")]] [[kernel]] void fill<float>(
        device float*, threadgroup float*, uint);
    #define instance(name, T) \\
      template [[host_name(#name)]] [[kernel]] decltype(fill<T>) fill<T>;
    instance(fill_half, half)
    instantiate_kernel("fill_bfloat", fill, bfloat16_t)
    kernel void other(device float* x [[buffer(0)]], constant uint& n [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) { x[i] = n; }
    """
    assert checks(["true"], header) == [True]


def test_names_of_simd_headers_are_the_types_of_metal() -> None:
    header = "#include <simd/simd.h>\nfloat last(vector_float3 v) { return v.z; }\n"
    expressions = [
        "is_same_v<simd::float4, float4> && is_same_v<simd_uint2, uint2>",
        "last(float3(1, 2, 3)) == 3",
        "is_same_v<matrix_float4x4, float4x4> && is_same_v<simd_float3x3, simd::float3x3>",
        "sizeof(simd::packed_float3) == 12",
    ]
    assert all(checks(expressions, header))


def test_assertions_and_diagnostics_do_nothing() -> None:
    header = """
    #pragma clang diagnostic push
    #pragma clang diagnostic ignored "-Wunused-variable"
    inline int checked(int v) { assert(v > 0); return v; }
    #pragma clang diagnostic pop
    """
    assert checks(["checked(-1) == -1"], header) == [True]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_an_integer_divided_by_zero_ends_nothing(dtype: str) -> None:
    a = np.array([7, 9, 100, 50, 0, 3, 8, 6], dtype)
    b = np.array([2, 0, 7, 0, 0, 3, 0, 1], dtype)
    source = """
    uint i = thread_position_in_grid.x;
    quotient[i] = a[i] / b[i];
    rest[i] = a[i] % b[i];
    """
    shapes = {"quotient": ((8,), dtype), "rest": ((8,), dtype)}
    got = run(source, {"a": a, "b": b}, shapes, grid=(8, 1, 1), threadgroup=(4, 1, 1))
    whole = b != 0
    np.testing.assert_array_equal(got["quotient"][whole], a[whole] // b[whole])
    np.testing.assert_array_equal(got["rest"][whole], a[whole] % b[whole])


@pytest.mark.parametrize(("dtype", "least"), [("int32", -(2**31)), ("int64", -(2**63))])
def test_the_least_integer_divided_by_minus_one_ends_nothing(dtype: str, least: int) -> None:
    a = np.array([least, least, 10, -10, 5, 5, 5, 5], dtype)
    b = np.array([-1, 1, -1, -1, -5, 5, 1, -1], dtype)
    source = """
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint i = thread_position_in_grid.x;
    quotient[i] = a[i] / b[i];
    """
    options = {"grid": (8, 1, 1), "threadgroup": (8, 1, 1)}
    got = run(source, {"a": a, "b": b}, {"quotient": ((8,), dtype)}, **options)
    np.testing.assert_array_equal(got["quotient"], [least, least, -10, 10, -1, 1, 5, -5])


@pytest.mark.parametrize(
    ("pragma", "fused"),
    [
        ("", True),
        ("#pragma METAL fp math_mode(safe)\n", True),
        ("#pragma METAL fp contract(off)\n", False),
        ("#pragma clang fp contract(off)\n", False),
        ("#pragma STDC FP_CONTRACT OFF\n", False),
    ],
)
@pytest.mark.parametrize("place", ["header", "source"])
def test_pragmas_rule_whether_products_are_fused_with_sums(
    pragma: str, fused: bool, place: str
) -> None:
    x = np.arange(1, 33, dtype=np.float32)
    a = 1 + x * np.float32(2**-12)
    source = "uint i = thread_position_in_grid.x; float p = a[i] * a[i]; out[i] = p - 1.0f;"
    options = {"header": pragma} if place == "header" else {}
    text = source if place == "header" else pragma + source
    got = run(text, {"a": a}, {"out": ((32,), "float32")}, grid=(32, 1, 1), **options)["out"]
    exact = a.astype(np.float64) ** 2 - 1
    np.testing.assert_array_equal(got, exact.astype(np.float32) if fused else a * a - 1)
