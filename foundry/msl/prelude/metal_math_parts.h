// MSL 6.5: Functions on the parts of a number: frexp, ldexp, ilogb, modf, nextafter, and sincos.
#pragma once
#pragma clang system_header

#include "metal_math.h"

#pragma float_control(precise, on, push)

namespace mf {

// mantissa in [1/2, 1) and exponent of a finite nonzero x; zero, infinity and NaN pass with 0.
MF_FN constexpr float frexp(float x, int& e) {
  e = 0;
  if (!(magnitude(x) > 0.0f) || magnitude(x) == INFINITY) return x;
  int shift = 0;
  if (magnitude(x) < 0x1p-126f) {
    x *= 0x1p25f;
    shift = 25;
  }
  e = ((bits(x) >> 23) & 0xff) - 126 - shift;
  return from_bits<float>((bits(x) & int(0x807fffffu)) | 0x3f000000);
}
MF_FN constexpr int ilogb(float x) {
  if (x == 0.0f) return FP_ILOGB0;
  if (x != x) return FP_ILOGBNAN;
  if (magnitude(x) == INFINITY) return INT_MAX;
  int e = 0;
  frexp(x, e);
  return e - 1;
}
// The whole part of x; the rest keeps the sign.
MF_FN constexpr float modf(float x, float& whole) {
  whole = trunc(x);
  float rest = magnitude(x) == INFINITY ? 0.0f : x - whole;
  return with_sign(rest, x);
}
// The neighbour of x towards y: bit patterns of one sign are ordered as the values are.
template <typename T, typename Bits>
MF_FN constexpr T nextafter(T x, T y) {
  if (x != x || y != y) return x != x ? x : y;
  if (x == y) return y;
  constexpr Bits sign = Bits(Bits(1) << (sizeof(T) * 8 - 1));
  Bits b = __builtin_bit_cast(Bits, x);
  if (x == T(0)) return __builtin_bit_cast(T, Bits(1 | (y < T(0) ? sign : 0)));
  bool away = (x < y) == !(b & sign);
  return __builtin_bit_cast(T, Bits(away ? b + 1 : b - 1));
}

}  // namespace mf

namespace metal {

#define MF_PARTS(T, Bits)                                                                    \
  MF_FN T frexp(T x, int& e) { return T(mf::frexp(float(x), e)); }                           \
  MF_FN constexpr int ilogb(T x) { return mf::ilogb(float(x)); }                             \
  MF_FN constexpr T ldexp(T x, int k) { return T(mf::ldexp(float(x), k)); }                  \
  MF_FN T modf(T x, T& whole) {                                                              \
    float w = 0.0f;                                                                          \
    T rest = T(mf::modf(float(x), w));                                                       \
    whole = T(w);                                                                            \
    return rest;                                                                             \
  }                                                                                          \
  MF_FN constexpr T nextafter(T x, T y) { return mf::nextafter<T, Bits>(x, y); }
MF_PARTS(float, uint)
MF_PARTS(half, ushort)
MF_PARTS(bfloat, ushort)
#undef MF_PARTS

template <typename T, int N>
MF_FN vec<T, N> frexp(vec<T, N> x, vec<int, N>& e) {
  vec<T, N> r;
  for (int i = 0; i < N; ++i) {
    int part = 0;
    r[i] = frexp(x[i], part);
    e[i] = part;
  }
  return r;
}
template <typename T, int N>
MF_FN vec<int, N> ilogb(vec<T, N> x) {
  return mf::map<int>([](T v) { return metal::ilogb(v); }, x);
}
template <typename T, int N>
MF_FN vec<T, N> ldexp(vec<T, N> x, vec<int, N> k) {
  return mf::map<T>([](T v, int n) { return metal::ldexp(v, n); }, x, k);
}
template <typename T, int N>
MF_FN vec<T, N> ldexp(vec<T, N> x, int k) {
  return ldexp(x, vec<int, N>(k));
}
template <typename T, int N>
MF_FN vec<T, N> modf(vec<T, N> x, vec<T, N>& whole) {
  vec<T, N> r;
  for (int i = 0; i < N; ++i) r[i] = modf(x[i], whole[i]);
  return r;
}
template <typename T, int N>
MF_FN vec<T, N> nextafter(vec<T, N> x, vec<T, N> y) {
  return mf::map<T>([](T a, T b) { return metal::nextafter(a, b); }, x, y);
}
#define MF_SINCOS1(T, core)              \
  MF_FN T sincos(T x, T& cosine) {       \
    float c = 0.0f;                      \
    float s = mf::core(float(x), c);     \
    cosine = T(c);                       \
    return T(s);                         \
  }
#define MF_SINCOS(core)                                                      \
  MF_SINCOS1(float, core)                                                    \
  MF_SINCOS1(half, core)                                                     \
  MF_SINCOS1(bfloat, core)                                                   \
  template <typename T, int N>                                               \
  MF_FN vec<T, N> sincos(vec<T, N> x, vec<T, N>& cosine) {                   \
    mf::ext<float, N> c = {};                                                \
    vec<T, N> s = mf::lift([&](auto v) { return mf::core(v, c); }, x);       \
    cosine = {mf::raw_t{}, mf::convert_lanes<T, float, N>(c)};               \
    return s;                                                                \
  }
#if defined(__FAST_MATH__)
MF_SINCOS(sincos_fast)
#else
MF_SINCOS(sincos)
#endif

}  // namespace metal

#pragma float_control(pop)
