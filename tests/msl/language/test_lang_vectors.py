"""Vectors, packed vectors and matrices: constructors, components, conversions, operators."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msl_lang import checks

SCALARS = [
    "char",
    "uchar",
    "short",
    "ushort",
    "int",
    "uint",
    "long",
    "ulong",
    "half",
    "bfloat",
    "float",
]
SAME = """
template <typename V> bool same(V a, V b) { return all(a == b); }
template <typename T> struct pair_of { using type = metal::vec<T, 2>; };
template <typename T> T last(vec<T, 2> v) { return v.y; }
template <typename T> T last(vec<T, 3> v) { return v.z; }
template <typename T> T last(vec<T, 4> v) { return v.w; }
"""


def _hold(expressions: Sequence[str], header: str = SAME) -> None:
    results = checks(expressions, header)
    assert all(results), [e for e, ok in zip(expressions, results, strict=True) if not ok]


@pytest.mark.parametrize("half_of_types", [0, 1])
def test_constructors_take_every_split(half_of_types: int) -> None:
    expressions = []
    for s in SCALARS[half_of_types::2]:
        abcd = f"{s}4({s}(1), {s}(2), {s}(3), {s}(4))"
        expressions += [
            f"same({abcd}, {s}4({s}2(1, 2), {s}2(3, 4)))",
            f"same({abcd}, {s}4({s}2(1, 2), 3, 4))",
            f"same({abcd}, {s}4(1, {s}2(2, 3), 4))",
            f"same({abcd}, {s}4(1, 2, {s}2(3, 4)))",
            f"same({abcd}, {s}4({s}3(1, 2, 3), 4))",
            f"same({abcd}, {s}4(1, {s}3(2, 3, 4)))",
            f"same({abcd}, {s}4({abcd}))",
            f"same({s}3(1, 2, 3), {s}3({s}2(1, 2), 3))",
            f"same({s}3(1, 2, 3), {s}3(1, {s}2(2, 3)))",
            f"same({s}4(7), {s}4(7, 7, 7, 7))",
            f"same(vec<{s}, 2>(5, 6), {s}2(5, 6)) && same({s}2(), {s}2(0))",
            f"sizeof({s}2) == 2 * sizeof({s}) && sizeof({s}3) == 4 * sizeof({s})",
            f"sizeof({s}4) == 4 * sizeof({s}) && alignof({s}4) == sizeof({s}4)",
            f"sizeof(packed_{s}3) == 3 * sizeof({s}) && alignof(packed_{s}3) == alignof({s})",
            f"last({s}2(1, 2)) == 2 && last({s}3(1, 2, 3)) == 3 && last({abcd}) == 4",
        ]
    _hold(expressions)


def test_every_conversion_between_element_types() -> None:
    expressions = [
        f"same({to}4({source}4(1, 2, 3, 100)), {to}4(1, 2, 3, 100))"
        f" && same({to}3({source}3(1, 2, 3)), {to}3(1, 2, 3))"
        f" && same(({to}2){source}2(5, 6), {to}2(5, 6))"
        f" && same(static_cast<{to}2>({source}2(5, 6)), {to}2(5, 6))"
        for to in SCALARS
        for source in SCALARS
    ]
    expressions += [
        "same(int4(float4(1.9, -1.9, 0.5, -0.5)), int4(1, -1, 0, 0))",
        "same(uint2(float2(3.99, 2.5)), uint2(3, 2))",
        "same(bool4(float4(0, 1, -2, 0.5)), bool4(false, true, true, true))",
        "same(float4(bool4(true, false, true, true)), float4(1, 0, 1, 1))",
        "same(uchar2(int2(257, -1)), uchar2(1, 255)) && same(char2(int2(200, 3)), char2(-56, 3))",
        "same(half2(float2(2049, 65504)), half2(2048, 65504))",
        "same(bfloat2(float2(257, 1.00390625)), bfloat2(256, 1))",
        "isinf(half(1e6f)) && isinf(half2(1e6f).x) && isnan(bfloat2(NAN).x)",
        "float(half2(bfloat2(3.5)).y) == 3.5 && float(bfloat2(half2(3.5)).y) == 3.5",
    ]
    _hold(expressions)


def test_real_numbers_become_whole_in_constant_expressions_as_elsewhere() -> None:
    reals = [
        "1.5f",
        "-1.5f",
        "0.0f",
        "300.7f",
        "3e9f",
        "1e20f",
        "-3e9f",
        "-1e20f",
        "-0.5f",
        "127.9f",
    ]
    whole = ["char", "uchar", "short", "ushort", "int", "uint", "long", "ulong"]
    pairs = [f"{a}, {b}" for a, b in zip(reals[::2], reals[1::2], strict=True)]
    places = [(f"K_{s}_{n}", s, pair) for s in whole for n, pair in enumerate(pairs)]
    declared = [f"constant {s}2 {name} = {s}2(float2({pair}));" for name, s, pair in places]
    held = [f"same({s}2({name}), {s}2(float2({pair}) + (x[0] - 1.5f)))" for name, s, pair in places]
    more = "constant constexpr uint4 k = uint4(float4(2)); constant int2 n = int2(half2(-3.5h));"
    _hold([*held, "k.w == 2 && n.y == -3"], "\n".join([SAME, *declared, more]))


def test_components_and_swizzles() -> None:
    header = (
        SAME
        + """
    float writes() {
      float4 v(1, 2, 3, 4);
      v.x = 10; v.yz = v.zy; v.w += 1; v[1] *= 2; v.xw = v.wx; v.y++; --v.z;
      float3 u(0); u.rgb = v.xyz; u.bg = float2(7, 8); u.xy *= 2.0f; u[2] -= 1;
      return v.x * 10000 + v.y * 1000 + v.z * 100 + v.w + u.x + u.y + u.z;
    }
    template <typename T> float in_template(device const float* x) {
      vec<T, 4> a = vec<T, 4>(x[0], x[1], x[2], x[3]), b = a.wzyx;
      vec<T, 2> r = a.xy * b.zw + T(2) * a.zw - (-b.xx) + b.yy * T(0.5f) - a.xy / b.ww;
      a.xz = r; a.yw += r.yx; a.y -= b.x;
      bool2 m = (a.xy > b.xy) || !(a.zw == b.xy);
      return float(a.x) + 2 * float(a.y) + 3 * float(a.z) + 4 * float(a.w) + m.x + 2 * m.y;
    }
    float expected(device const float* x) {
      float a[4] = {x[0], x[1], x[2], x[3]}, b[4] = {x[3], x[2], x[1], x[0]};
      float r0 = a[0] * b[2] + 2 * a[2] + b[0] + b[1] * 0.5f - a[0] / b[3];
      float r1 = a[1] * b[3] + 2 * a[3] + b[0] + b[1] * 0.5f - a[1] / b[3];
      a[0] = r0; a[2] = r1; a[1] += r1; a[3] += r0; a[1] -= b[0];
      bool m0 = a[0] > b[0] || !(a[2] == b[0]), m1 = a[1] > b[1] || !(a[3] == b[1]);
      return a[0] + 2 * a[1] + 3 * a[2] + 4 * a[3] + m0 + 2 * m1;
    }
    """
    )
    _hold(
        [
            "float4(1, 2, 3, 4).wzyx.x == 4 && float4(1, 2, 3, 4).abgr.g == 3",
            "same(float4(1, 2, 3, 4).xxyy, float4(1, 1, 2, 2))",
            "same(int3(1, 2, 3).zyx, int3(3, 2, 1)) && same(uint2(1, 2).yxyx, uint4(2, 1, 2, 1))",
            "same(float4(1, 2, 3, 4).xyz.zy.xy, float2(3, 2))",
            "same(float4(1, 2, 3, 4).rgba, float4(1, 2, 3, 4))",
            "writes() == 5 * 10000 + 7 * 1000 + 1 * 100 + 10 + 10 + 16 + 6",
            "abs(in_template<float>(x) - expected(x)) < 1e-4f",
            "abs(in_template<half>(x) - expected(x)) < 0.1f",
            "abs(in_template<bfloat>(x) - expected(x)) < 0.5f",
        ],
        header,
    )


def test_operators_are_component_by_component() -> None:
    _hold(
        [
            "same(float4(1, 2, 3, 4) + 1, float4(2, 3, 4, 5))",
            "same(2 * float2(1, 2), float2(2, 4)) && same(float2(1, 2) * half(2), float2(2, 4))",
            "same(half4(1) * 0.5f, half4(0.5)) && same(1.0f / float2(2, 4), float2(0.5, 0.25))",
            "same(int4(7, -7, 8, 9) / 2, int4(3, -3, 4, 4))",
            "same(int4(7, -7, 8, 9) % 4, int4(3, -3, 0, 1))",
            "same(uint2(1, 2) << uint2(4, 33), uint2(16, 4))",
            "same(int2(-16, 16) >> 2, int2(-4, 4)) && same(~uint2(0), uint2(0xffffffff))",
            "same(uint2(12, 10) & 6u, uint2(4, 2)) && same(uint2(1, 2) ^ 3u, uint2(2, 1))",
            "same(uchar2(200, 100) + uchar2(100, 100), uchar2(44, 200))",
            "same(-float3(1, -2, 3), float3(-1, 2, -3)) && same(+int2(1, 2), int2(1, 2))",
            "same(float4(1, 2, 3, 4) > 2, bool4(false, false, true, true))",
            "same(!bool2(true, false), bool2(false, true))",
            "same(bool2(true, false) && bool2(true, true), bool2(true, false))",
            "same(int2(1, 2) == int2(1, 3), bool2(true, false))",
            "any(float2(0, 1) != 0.0f) && !all(float2(0, 1) != 0.0f)",
            "same(select(float2(1, 2), float2(3, 4), bool2(true, false)), float2(3, 2))",
            "same(select(int2(1, 2), int2(3, 4), true), int2(3, 4))",
            "same(max(float4(-1, 2, -3, 4), 0.0f), float4(0, 2, 0, 4))",
            "same(min(int2(1, 5), 3), int2(1, 3))",
            "same(clamp(half2(-1, 2), half(0), half(1)), half2(0, 1))",
            "same(mix(float2(0), float2(2), 0.25f), float2(0.5))",
            "same(bfloat2(1, 2) + bfloat2(0.00390625), bfloat2(1, 2))",
            "same(bfloat2(1, 3) * bfloat2(3, 3), bfloat2(3, 9))",
            "same((x[0] > 0 ? float2(1, 2) : 0.0f), float2(1, 2))",
            "same(as_type<uint2>(float2(1, 2)), uint2(0x3f800000, 0x40000000))",
            "as_type<uint>(half2(1, 2)) == 0x40003c00 && as_type<ushort>(bfloat(1)) == 0x3f80",
            "as_type<float>(as_type<int>(-2.5f)) == -2.5f",
            "same(as_type<uchar4>(0x04030201), uchar4(1, 2, 3, 4))",
        ]
    )


def test_packed_vectors_are_tight_and_convert() -> None:
    header = (
        SAME
        + """
    struct particle { packed_float3 position; float mass; packed_half4 colour; };
    float through_memory(device const float* x) {
      packed_float3 p[2] = {packed_float3(x[0], x[1], x[2]), packed_float3(1.0f)};
      float3 v = p[0]; p[1] = v * 2; p[0].z = 5; p[0][1] += 1; p[1].xy = p[1].yx;
      p[1] += float3(1);
      float3 sum = p[0] + p[1] * 2.0f - v;
      return sum.x + 10 * sum.y + 100 * sum.z;
    }
    float expected(device const float* x) {
      float a = x[0] + 2 * (2 * x[1] + 1) - x[0], b = x[1] + 1 + 2 * (2 * x[0] + 1) - x[1];
      return a + 10 * b + 100 * (5 + 2 * (2 * x[2] + 1) - x[2]);
    }
    """
    )
    _hold(
        [
            "sizeof(particle) == 24",
            "through_memory(x) == expected(x)",
            "dot(packed_float3(1, 2, 3), float3(1)) == 6 && length(packed_float2(3, 4)) == 5",
            "same(float4(packed_float3(1, 2, 3), 4), float4(1, 2, 3, 4))",
            "same(float3(packed_uchar3(1, 2, 255)), float3(1, 2, 255))",
            "same(packed_int2(1, 2).yx, int2(2, 1))",
        ],
        header,
    )


def test_matrices() -> None:
    header = (
        SAME
        + """
    float writes() {
      float3x3 m(1.0f); m[0].y = 2; m[2][1] = 3; m *= 2.0f; m[1] = m[1] + m[0];
      return m[0][1] * 100 + m[2][1] * 10 + m[1][0];
    }
    constant float2x2 table = float2x2(1, 2, 3, 4);
    """
    )
    _hold(
        [
            "same(float2x2(1, 2, 3, 4) * float2(1, 1), float2(4, 6))",
            "same(float2(1, 1) * float2x2(1, 2, 3, 4), float2(3, 7))",
            "same((float2x2(1, 2, 3, 4) * float2x2(0, 1, 1, 0))[0], float2(3, 4))",
            "same(float2x3(float3(1, 2, 3), float3(4, 5, 6)) * float2(1, 2), float3(9, 12, 15))",
            "same((float3x2(1, 2, 3, 4, 5, 6) * float2x3(1, 0, 0, 0, 1, 0))[1], float2(3, 4))",
            "transpose(float2x3(1, 2, 3, 4, 5, 6))[2][1] == 6",
            "determinant(float2x2(1, 2, 3, 4)) == -2",
            "determinant(float3x3(2, 0, 1, 0, 3, 0, 1, 0, 4)) == 21",
            "determinant(float4x4(2, 0, 0, 1, 0, 3, 0, 0, 0, 0, 4, 0, 1, 0, 0, 5)) == 108",
            "float4x4(2.0f)[3][3] == 2 && float4x4(2.0f)[3][2] == 0",
            "half3x3(float3x3(1.5f))[2][2] == 1.5h && sizeof(float3x3) == 48",
            "sizeof(half2x4) == 16 && sizeof(float4x2) == 32",
            "(float2x2(1) + float2x2(2) - float2x2(0.5f))[1][1] == 2.5f",
            "(-float2x2(1) * 3.0f)[0][0] == -3 && (2.0f * float2x2(1))[0][0] == 2",
            "table[1][0] == 3 && writes() == 4 * 100 + 6 * 10 + 2",
        ],
        header,
    )


def test_geometry() -> None:
    _hold(
        [
            "dot(float4(1, 2, 3, 4), float4(1)) == 10",
            "same(cross(float3(1, 0, 0), float3(0, 1, 0)), float3(0, 0, 1))",
            "length(float2(3, 4)) == 5 && length_squared(float2(3, 4)) == 25",
            "distance(float3(1, 2, 3), float3(1, 2, 5)) == 2",
            "distance_squared(float2(0), float2(1, 2)) == 5",
            "abs(length(normalize(float3(1, 2, 3))) - 1) < 1e-6f",
            "same(reflect(float2(1, -1), float2(0, 1)), float2(1, 1))",
            "same(refract(float2(0, -1), float2(0, 1), 0.5f), float2(0, -1))",
            "same(refract(float2(0.9f, -0.1f), float2(0, 1), 9.0f), float2(0))",
            "same(faceforward(float2(0, 1), float2(0, 1), float2(0, 1)), float2(0, -1))",
            "length(half2(300, 400)) == 500.0h",
            "abs(fast::length(float2(3, 4)) - 5) < 1e-5f",
            "fast_distance(float2(0), float2(1)) > 1",
        ]
    )


def test_packing_and_unpacking() -> None:
    _hold(
        [
            "pack_float_to_unorm4x8(float4(0, 0.5, 1, 2)) == 0xffff8000u",
            "pack_float_to_snorm4x8(float4(-1, 0, 1, -2)) == 0x817f0081u",
            "pack_float_to_unorm2x16(float2(1, 0)) == 0x0000ffffu",
            "pack_float_to_snorm2x16(float2(-1, 1)) == 0x7fff8001u",
            "pack_half_to_unorm4x8(half4(1)) == 0xffffffffu",
            "same(unpack_unorm4x8_to_float(0xff00ff00u), float4(0, 1, 0, 1))",
            "same(unpack_snorm4x8_to_float(0x7f810080u), float4(-1, 0, -1, 1))",
            "same(unpack_unorm2x16_to_half(0xffff0000u), half2(0, 1))",
            "same(unpack_snorm2x16_to_float(0x80007fffu), float2(1, -1))",
            "pack_float_to_unorm10a2(float4(1, 0, 1, 1)) == 0xfff003ffu",
            "same(unpack_unorm10a2_to_float(0xc00003ffu), float4(1, 0, 0, 1))",
            "pack_float_to_unorm565(float3(1, 0, 1)) == 0xf81f",
            "same(unpack_unorm565_to_float(0x07e0), float3(0, 1, 0))",
            "pack_float_to_srgb_unorm4x8(unpack_unorm4x8_srgb_to_float(0x80402010u))"
            " == 0x80402010u",
        ]
    )
