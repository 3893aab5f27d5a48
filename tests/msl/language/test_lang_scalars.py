"""Scalar types: widths, literals, mixed arithmetic, integer functions, limits, traits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msl_lang import checks


def _hold(expressions: Sequence[str], header: str = "") -> None:
    results = checks(expressions, header)
    assert all(results), [e for e, ok in zip(expressions, results, strict=True) if not ok]


def test_widths_and_literals() -> None:
    sizes = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "long": 8}
    sizes |= {"ulong": 8, "half": 2, "bfloat": 2, "float": 4, "bool": 1, "size_t": 8}
    sizes |= {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4}
    sizes |= {"uint32_t": 4, "int64_t": 8, "uint64_t": 8, "ptrdiff_t": 8}
    _hold(
        [f"sizeof({name}) == {size}" for name, size in sizes.items()]
        + [
            "sizeof(1.0) == 4 && sizeof(1.5h) == 2 && sizeof(2.5H) == 2 && sizeof(1.0bf) == 2",
            "metal::is_same_v<decltype(1.5h), half> && is_same_v<decltype(1.0bf), bfloat>",
            "is_same_v<decltype(1.0), float> && is_same_v<decltype(x[0] * 0.1), float>",
            "is_same_v<decltype(half(1) * half(2)), half>",
            "is_same_v<decltype(half(1) * 2), half>",
            "is_same_v<decltype(half(1) * 2.0f), float>",
            "is_same_v<decltype(1.0 * half(1)), float>",
            "is_same_v<decltype(bfloat(1) + bfloat(1)), bfloat>",
            "is_same_v<decltype(bfloat(1) * 1.0f), float> && is_same_v<decltype(1u + 1), uint>",
            "is_same_v<decltype(exp(half(1))), half>",
            "is_same_v<decltype(exp(bfloat(1))), bfloat>",
            "is_same_v<decltype(metal::exp(1.0)), float> && is_same_v<decltype(max(1u, 2u)), uint>",
            "char(200) == -56 && uchar(300) == 44 && short(40000) == -25536",
        ]
    )


def test_narrow_floats_round_after_every_operation() -> None:
    header = """
    half chain(half a, half b, half c) { half p = a * b; half s = p + c; return s; }
    bfloat chain(bfloat a, bfloat b, bfloat c) { bfloat p = a * b; bfloat s = p + c; return s; }
    half sum(half v, int n) { half t = 0; for (int i = 0; i < n; ++i) t += v; return t; }
    bfloat sum(bfloat v, int n) { bfloat t = 0; for (int i = 0; i < n; ++i) t += v; return t; }
    """
    _hold(
        [
            "half(2049.0f) == 2048.0h && half(65520.0f) == half(INFINITY)",
            "half(2048) + half(1) == half(2048) && half(1) / half(3) == half(0.33325195f)",
            "sum(half(1), 3000) == half(2048) && sum(bfloat(1), 3000) == bfloat(256)",
            "bfloat(257.0f) == bfloat(256) && bfloat(259.0f) == bfloat(260)",
            "float(bfloat(1.0f / 3)) == 0.333984375f && float(half(0.1f)) == 0.0999755859375f",
            "float(as_type<half>(ushort(1))) == 0x1p-24f",
            "isnan(half(NAN)) && isnan(bfloat(NAN)) && bfloat(-INFINITY) < bfloat(0)",
        ],
        header,
    )


def test_mixed_arguments_that_kernels_use() -> None:
    header = """
    template <typename T> T relu(T v) { return metal::max(v, T(0)); }
    template <typename T> T gelu(T v) { return v * T(0.5f) * (T(1) + tanh(v)); }
    template <typename T> float accumulate(T a, T b) { float t = 0; t += a * b;
    t = fma(float(a), float(b), t);
    return t; }
    template <typename T> T pick(bool c, T v) { T zero = 0; return c ? v : 0; }
    """
    _hold(
        [
            "max(bfloat(2), 0.0f) == 2 && max(bool(1), false) == 1 && fmax(x[0], 0) == x[0]",
            "pow(half(3), 2) == 9 && pow(2.0f, 3) == 8",
            "pow(2, 3.0f) == 8 && powr(2.0f, 3u) == 8",
            "fma(2.0f, 3.0f, 1) == 7 && mix(half(0), half(4), 0.5h) == 2 && step(0, x[0]) == 1",
            "select(half(1), half(2), x[0] > 0) == 2 && select(0.0f, 2.0f, true) == 2",
            "metal::abs(-3) == 3 && metal::abs(half(-3)) == 3",
            "abs(long(-5)) == 5 && abs(4u) == 4",
            "relu(half(-2)) == 0 && relu(bfloat(2)) == 2 && relu(-2) == 0 && relu(2.5f) == 2.5f",
            "gelu(half(0)) == 0 && gelu(bfloat(1)) > bfloat(0.8f)",
            "accumulate(half(3), half(2)) == 12 && accumulate(bfloat(3), bfloat(2)) == 12",
            "pick(false, half(3)) == 0 && pick(true, bfloat(3)) == 3 && pick(true, 3u) == 3",
            "(x[0] > 0 ? half(1) : 0) == 1 && (x[0] > 0 ? bfloat(1) : 0.0f) == 1",
            "half(3) > 2 && 2.5 < half(3) && bfloat(2) == 2 && bfloat(2) >= 1.5f && -half(2) < 0",
            "uint(half(3.7f)) == 3 && int(bfloat(-3)) == -3 && half(7u) == 7 && bfloat(3l) == 3",
            "metal::precise::exp(half(0)) == 1 && metal::fast::tanh(bfloat(0)) == 0",
            "float(half(1) / 2) == 0.5f && int(5 * half(2)) == 10",
        ],
        header,
    )


INTEGERS = ["char", "uchar", "short", "ushort", "int", "uint", "long", "ulong"]


def test_integer_functions_at_every_width() -> None:
    expressions = []
    for name, bits in zip(INTEGERS, [8, 8, 16, 16, 32, 32, 64, 64], strict=True):
        unsigned = name.startswith("u")
        top = f"numeric_limits<{name}>::max()"
        low = f"numeric_limits<{name}>::min()"
        t = name
        expressions += [
            f"clz({t}(1)) == {bits - 1} && clz({t}(0)) == {bits} && ctz({t}(8)) == 3",
            f"ctz({t}(0)) == {bits} && popcount({t}(~{t}(0))) == {bits}",
            f"addsat({top}, {t}(1)) == {top} && subsat({low}, {t}(1)) == {low}",
            f"hadd({top}, {t}({top} - 2)) == {t}({top} - 1) && rhadd({t}(3), {t}(4)) == 4",
            f"absdiff({t}(3), {t}(10)) == 7 && absdiff({top}, {low}) == "
            f"make_unsigned_t<{t}>(~make_unsigned_t<{t}>(0))",
            f"rotate({t}(1), {t}({bits - 1})) == "
            f"{t}(make_unsigned_t<{t}>(1) << {bits - 1}) && rotate({t}(3), {t}({bits})) == 3",
            f"mulhi({top}, {t}(4)) == {3 if unsigned else 1}",
            f"madsat({top}, {t}(2), {t}(1)) == {top} && madhi({t}(2), {t}(3), {t}(4)) == 4",
            f"max3({t}(1), {t}(3), {t}(2)) == 3 && min3({t}(2), {t}(1), {t}(3)) == 1",
            f"median3({t}(3), {t}(1), {t}(2)) == 2 && max({t}(1), {t}(2)) == 2",
            f"reverse_bits(reverse_bits({t}(77))) == 77",
            f"extract_bits({t}(0x5a), 4, 4) == 5 && insert_bits({t}(0), {t}(3), 2, 2) == 12",
        ]
    expressions += [
        "reverse_bits(1u) == 0x80000000u && rotate(0x80000001u, 4u) == 0x18u",
        "mulhi(-2, 3) == -1 && mulhi(0x100000000ul, 0x100000000ul) == 1",
        "madsat(-100000, 100000, 0) == INT_MIN && madsat(50000, 50000, 7) == INT_MAX",
        "madsat(3l, 4l, 5l) == 17 && madsat(LONG_MIN, 2l, 0l) == LONG_MIN",
        "mul24(-3, 5) == -15 && mad24(0xffffffu, 2u, 1u) == 0x1ffffffu",
        "extract_bits(int(0xf0), 4, 4) == -1 && extract_bits(0xf0u, 4u, 4u) == 15",
        "all(popcount(uint4(1, 3, 7, 15)) == uint4(1, 2, 3, 4))",
        "all(clz(int2(1, 2)) == int2(31, 30))",
        "all(absdiff(int2(1, 5), int2(4, 2)) == uint2(3, 3))",
        "all(max3(int2(1), int2(5, 0), int2(3)) == int2(5, 3))",
        "all(abs(int2(-1, 2)) == int2(1, 2))",
    ]
    _hold(expressions)


def test_integers_wrap_and_floats_saturate_to_integers() -> None:
    _hold(
        [
            "int(x[4]) * 0 + (INT_MAX + int(x[6]) - 1) == INT_MIN",
            "uint(x[6]) - 3u == 0xffffffffu && short(32767 + int(x[0])) == -32768",
            "int(x[0] * 1e20f) == INT_MAX && int(x[1] * 1e20f) == INT_MIN && uint(x[1]) == 0",
            "int(NAN * x[0]) == 0 && uint(x[0] * 1e20f) == UINT_MAX && uchar(x[0] * 1000) == 255",
        ]
    )


@pytest.mark.parametrize("name", ["float", "half", "bfloat"])
def test_limits_of_floating_types(name: str) -> None:
    digits = {"float": 24, "half": 11, "bfloat": 8}[name]
    limits = f"numeric_limits<{name}>"
    _hold(
        [
            f"{limits}::digits == {digits} && isinf({limits}::infinity())",
            f"isnan({limits}::quiet_NaN()) && {limits}::lowest() == -{limits}::max()",
            f"{name}(1) + {limits}::epsilon() > {name}(1)",
            f"{name}(1) + {limits}::epsilon() / 2 == {name}(1)",
            f"{limits}::max() < {limits}::infinity() && isnormal({limits}::min())",
            f"{limits}::denorm_min() > {name}(0) && !isnormal({limits}::denorm_min())",
            f"Limits<{name}>::max == {limits}::infinity() && Limits<{name}>::min < 0",
            f"Limits<{name}>::finite_max == {limits}::max()",
        ]
    )


def test_qualifiers_of_memory() -> None:
    header = """
    inline float first(coherent(device) device const float* p, volatile device const float* q) {
      return p[0] + q[0];
    }
    inline float coherent_sum(device float* p) {
      coherent device float* r = p; const device float* restricted = p; int coherent = 1;
      return r[0] + restricted[0] + coherent;
    }
    """
    _hold(["first(x, x) == 3.0f"], header)


def test_constants() -> None:
    _hold(
        [
            "abs(M_PI_F - 3.14159265f) < 1e-6f && abs(M_E_F - 2.7182818f) < 1e-6f",
            "abs(float(M_PI_H) - 3.14f) < 1e-2f && sizeof(M_PI_H) == 2",
            "FLT_MAX == numeric_limits<float>::max() && MAXFLOAT == FLT_MAX",
            "HALF_MAX == 65504.0h",
            "FLT_EPSILON == 0x1p-23f && HALF_EPSILON == 0x1p-10f && FLT_MIN == 0x1p-126f",
            "INT_MAX == 2147483647 && UINT_MAX == 4294967295u && SHRT_MIN == -32768",
            "isinf(INFINITY) && isnan(NAN) && !isfinite(-INFINITY) && HUGE_VALF > FLT_MAX",
            "CHAR_BIT == 8 && UCHAR_MAX == 255 && LONG_MAX == 9223372036854775807L",
        ]
    )


def test_classification() -> None:
    _hold(
        [
            "isnan(NAN) && !isnan(1.0f) && isinf(-INFINITY) && isfinite(x[0]) && !isfinite(NAN)",
            "isnormal(1.0f) && !isnormal(1e-40f) && !isnormal(0.0f)",
            "signbit(-0.0f) && !signbit(0.0f)",
            "isordered(1.0f, 2.0f) && isunordered(NAN, 1.0f)",
            "isnan(half(NAN)) && signbit(half(-1))",
            "all(isnan(float2(NAN, NAN))) && !any(isinf(half4(1))) && all(isfinite(bfloat2(1)))",
            "isequal(1.0f, 1.0f) && isless(1.0f, 2.0f)",
            "!isgreater(NAN, 1.0f) && islessgreater(1.0f, 2.0f)",
        ]
    )


def test_type_traits_and_templates() -> None:
    header = """
    template <typename T, metal::enable_if_t<metal::is_floating_point_v<T>, bool> = true>
    int kind(T) { return 1; }
    template <typename T, metal::enable_if_t<metal::is_integral_v<T>, bool> = true>
    int kind(T) { return 2; }
    template <int N> struct fact { static constant constexpr int value = N * fact<N - 1>::value; };
    template <> struct fact<0> { static constant constexpr int value = 1; };
    template <typename... A> int count(A...) { return sizeof...(A); }
    template <typename T, size_t N> T total(thread const metal::array<T, N>& a) {
      T t = 0;
      #pragma clang loop unroll(full)
      for (size_t i = 0; i < N; ++i) t += a[i];
      return t;
    }
    constant constexpr int primes[] = {2, 3, 5, 7};
    struct Params { int n; float scale; half2 h; };
    enum class Mode : uchar { a, b };
    union Bits { float f; uint u; };
    """
    _hold(
        [
            "kind(half(1)) == 1 && kind(1.0f) == 1 && kind(1u) == 2 && kind(bfloat(1)) == 1",
            "is_same_v<conditional_t<true, int, float>, int>",
            "is_same_v<remove_cv_t<const int>, int>",
            "is_signed_v<int> && is_unsigned_v<uchar> && !is_same_v<half, float>",
            "is_same_v<make_unsigned_t<int>, uint> && is_convertible_v<int, float>",
            "fact<5>::value == 120 && count(1, 2.0f, half(3)) == 3 && primes[3] == 7",
            "total(metal::array<float, 3>{1, 2, 3}) == 6 && sizeof(Params) == 12",
            "Mode::b != Mode::a && uchar(Mode::b) == 1 && Bits{1.0f}.u == 0x3f800000",
            "[](float v) { return v * 2; }(x[0]) == 3.0f",
            "is_pointer_v<device float*> && numeric_limits<uchar>::max() == 255",
            "alignof(float4) == 16 && metal::is_trivially_copyable_v<float3>",
        ],
        header,
    )
