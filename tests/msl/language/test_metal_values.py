"""Values that the language and its library give at their ends, all from one kernel."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

import foundry

INF, NAN = math.inf, math.nan
VALUES: tuple[tuple[str, float], ...] = (
    ("exp(88.8f)", INF),
    ("exp(-104.0f)", 0.0),
    ("log(0.0f)", -INF),
    ("log(-1.0f)", NAN),
    ("sqrt(-1.0f)", NAN),
    ("rsqrt(0.0f)", INF),
    ("pow(0.0f,0.0f)", 1.0),
    ("pow(-2.0f,3.0f)", -8.0),
    ("pow(-2.0f,0.5f)", NAN),
    ("powr(-2.0f,2.0f)", NAN),
    ("fmin(NAN,1.0f)", 1.0),
    ("fmax(NAN,1.0f)", 1.0),
    ("max(NAN,1.0f)", 1.0),
    ("clamp(NAN,0.0f,1.0f)", 0.0),
    ("saturate(NAN)", 0.0),
    ("sign(NAN)", 0.0),
    ("sign(-0.0f)", -0.0),
    ("sign(-3.0f)", -1.0),
    ("fract(-0.25f)", 0.75),
    ("floor(-0.5f)", -1.0),
    ("rint(2.5f)", 2.0),
    ("round(2.5f)", 3.0),
    ("round(-2.5f)", -3.0),
    ("trunc(-2.7f)", -2.0),
    ("fmod(-5.0f,3.0f)", -2.0),
    ("fmod(5.0f,0.0f)", NAN),
    ("atan2(0.0f,-1.0f)", math.pi),
    ("atan2(0.0f,0.0f)", 0.0),
    ("acos(2.0f)", NAN),
    ("tanh(50.0f)", 1.0),
    ("fast::tanh(50.0f)", NAN),
    ("sinh(90.0f)", INF),
    ("log2(8.0f)", 3.0),
    ("exp2(-150.0f)", 0.0),
    ("exp10(2.0f)", 100.0),
    ("float(int(3e9f))", 2147483647.0),
    ("float(uint(-1.0f))", 0.0),
    ("float(int(NAN))", 0.0),
    ("float(uchar(300.0f))", 255.0),
    ("float(half(70000.0f))", INF),
    ("float(uchar4(float4(300.0f) + 0 * float(sizeof(int))).x)", 255.0),
    ("float(int2(float2(NAN)).y)", 0.0),
    ("float(uint3(float3(1e30f)).z)", 4294967295.0),
    ("float(short4(half4(-40000.0f)).w)", -32768.0),
    ("float(long2(bfloat2(-INFINITY)).x)", -9223372036854775808.0),
    ("float(1 << 33)", 2.0),
    ("float(int(-7) / 2)", -3.0),
    ("float(int(-7) % 2)", -1.0),
    ("float(popcount(255))", 8.0),
    ("float(clz(0))", 32.0),
    ("float(ctz(0))", 32.0),
    ("float(clz(uchar(1)))", 7.0),
    ("float(mulhi(0x80000000u, 4u))", 2.0),
    ("float(abs(-5))", 5.0),
    ("float(absdiff(-5, 7))", 12.0),
    ("float(addsat(uchar(200), uchar(100)))", 255.0),
    ("float(subsat(3u, 5u))", 0.0),
    ("float(addsat(2147483647, 1))", 2147483647.0),
    ("float(rotate(0x80000001u, 1u))", 3.0),
    ("float(hadd(3u,4u))", 3.0),
    ("float(rhadd(3u,4u))", 4.0),
    ("float(extract_bits(0xF0u, 4u, 4u))", 15.0),
    ("float(extract_bits(0xF0, 4u, 4u))", -1.0),
    ("float(insert_bits(0u, 15u, 4u, 4u))", 240.0),
    ("float(reverse_bits(1u) >> 31)", 1.0),
    ("float(mad24(3, 4, 5))", 17.0),
    ("mix(1.0f, 3.0f, 0.25f)", 1.5),
    ("step(2.0f, 2.0f)", 1.0),
    ("smoothstep(0.0f, 1.0f, 0.5f)", 0.5),
    ("length(float3(3, 4, 0))", 5.0),
    ("dot(float2(1, 2), float2(3, 4))", 11.0),
    ("cross(float3(1,0,0), float3(0,1,0)).z", 1.0),
    ("distance(float2(0), float2(3, 4))", 5.0),
    ("normalize(float3(0, 5, 0)).y", 1.0),
    ("determinant(float2x2(1, 2, 3, 4))", -2.0),
    ("(float2x2(1, 2, 3, 4) * float2(1, 1)).x", 4.0),
    ("(float2(1, 1) * float2x2(1, 2, 3, 4)).x", 3.0),
    ("transpose(float2x2(1, 2, 3, 4))[0][1]", 3.0),
    ("float2x2(2.0f)[0][1]", 0.0),
    ("float(as_type<uint>(1.0f) >> 23)", 127.0),
    ("float(as_type<short>(1.0h))", 15360.0),
    ("as_type<float>(0x3f800000)", 1.0),
    ("float(as_type<uchar4>(0x04030201u).z)", 3.0),
    ("select(1.0f, 2.0f, true)", 2.0),
    ("float(select(int4(1), int4(2), int4(-1, 0, -1, 0) < 0).y)", 1.0),
    ("nextafter(1.0f, 2.0f) - 1.0f", 1.1920929e-07),
    ("ldexp(1.5f, 3)", 12.0),
    ("copysign(3.0f, -0.0f)", -3.0),
    ("fdim(1.0f, 3.0f)", 0.0),
    ("float(ilogb(8.0f))", 3.0),
    ("fma(2.0f, 3.0f, 4.0f)", 10.0),
    ("median3(3.0f, 1.0f, 2.0f)", 2.0),
    ("max3(3, 1, 2) * 1.0f", 3.0),
    ("float(char(200))", -56.0),
    ("float(true + true)", 2.0),
    ("float(sizeof(packed_float3))", 12.0),
    ("float(sizeof(float3))", 16.0),
    ("float(float3(1, 2, 3).zyx.x)", 3.0),
    ("float(short(40000))", -25536.0),
    ("float(5u - 7u > 0u)", 1.0),
    ("float(1.0h / 3.0h)", 0.333251953125),
    ("float(half(65504) + half(32))", INF),
    ("float(bfloat(1.0f) + bfloat(0.00390625f))", 1.0),
    ("divide(1.0f, 0.0f)", INF),
    ("isnan(0.0f / 0.0f) ? 1.0f : 0.0f", 1.0),
    ("float(any(float2(0, 1) > 0.5f))", 1.0),
    ("float(0x1ULL << 40 >> 38)", 4.0),
    ("float(ulong(1) << 63 >> 60)", 8.0),
    ("float(long(-1) >> 60)", -1.0),
    ("float(pack_float_to_unorm4x8(float4(1, 0, 0, 0)))", 255.0),
    ("unpack_snorm2x16_to_float(0x7fffu).x", 1.0),
    ("sinpi(0.5f)", 1.0),
    ("cospi(1.0f)", -1.0),
    ("float(isinf(exp(89.0f)))", 1.0),
)
"""An expression, and the float that it is on a Mac."""


def test_every_expression_has_its_value() -> None:
    source = "".join(f"out[{n}] = {text};\n" for n, (text, _) in enumerate(VALUES))
    kernel = foundry.metal_kernel(
        name="values", input_names=[], output_names=["out"], source=source
    )
    made = kernel(
        inputs=[],
        output_shapes=[(len(VALUES),)],
        output_dtypes=[mx.float32],
        grid=(1, 1, 1),
        threadgroup=(1, 1, 1),
    )
    found = np.array(made[0])
    wanted = np.array([value for _, value in VALUES], np.float32)
    close = np.isclose(found, wanted, rtol=2e-6, atol=0, equal_nan=True)
    wrong = [f"{VALUES[n][0]} is {found[n]}, not {wanted[n]}" for n in np.flatnonzero(~close)]
    assert not wrong
