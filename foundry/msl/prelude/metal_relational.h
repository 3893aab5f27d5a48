// MSL 6.3, <metal_relational>: classification, any/all, select.
#pragma once
#pragma clang system_header

#include "metal_common.h"

#pragma float_control(precise, on, push)

namespace mf {
template <typename T>
MF_FN constexpr bool nan_bits(T x) {
  if constexpr (sizeof(T) == 4) {
    return (__builtin_bit_cast(uint, x) & 0x7fffffffu) > 0x7f800000u;
  } else {
    return (__builtin_bit_cast(ushort, x) & 0x7fff) > (is_bfloat<T> ? 0x7f80 : 0x7c00);
  }
}
template <typename T>
MF_FN constexpr uint exponent_bits(T x) {
  if constexpr (sizeof(T) == 4) {
    return (__builtin_bit_cast(uint, x) >> 23) & 0xffu;
  } else if constexpr (is_bfloat<T>) {
    return (__builtin_bit_cast(ushort, x) >> 7) & 0xffu;
  } else {
    return (__builtin_bit_cast(ushort, x) >> 10) & 0x1fu;
  }
}
template <typename T>
inline constexpr uint exponent_top = __is_same(T, half) ? 31u : 255u;
template <typename T>
MF_FN constexpr bool finite_bits(T x) {
  return exponent_bits(x) != exponent_top<T>;
}
template <typename T>
MF_FN constexpr bool inf_bits(T x) {
  return !finite_bits(x) && !nan_bits(x);
}
template <typename T>
MF_FN constexpr bool normal_bits(T x) {
  return finite_bits(x) && exponent_bits(x) != 0;
}
template <typename T>
MF_FN constexpr bool sign_bit(T x) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_bit_cast(int, x) < 0;
  } else {
    return __builtin_bit_cast(short, x) < 0;
  }
}
}  // namespace mf

namespace metal {

#define MF_CLASSIFY(name, impl)                                                              \
  MF_FN constexpr bool name(float x) { return mf::impl(x); }                                 \
  MF_FN constexpr bool name(half x) { return mf::impl(x); }                                  \
  MF_FN constexpr bool name(bfloat x) { return mf::impl(x); }                                \
  template <typename T, int N>                                                               \
    requires mf::is_float_like<T>                                                            \
  MF_FN constexpr vec<bool, N> name(vec<T, N> x) {                                           \
    return mf::map<bool>([](T v) __attribute__((always_inline)) { return mf::impl(v); }, x); \
  }
MF_CLASSIFY(isnan, nan_bits)
MF_CLASSIFY(isinf, inf_bits)
MF_CLASSIFY(isfinite, finite_bits)
MF_CLASSIFY(isnormal, normal_bits)
MF_CLASSIFY(signbit, sign_bit)
#undef MF_CLASSIFY

#define MF_ORDER(V, B)                                                  \
  MF_FN constexpr B isordered(V x, V y) { return !isnan(x) && !isnan(y); } \
  MF_FN constexpr B isunordered(V x, V y) { return isnan(x) || isnan(y); }
MF_ORDER(float, bool)
MF_ORDER(half, bool)
MF_ORDER(bfloat, bool)
template <typename T, int N>
MF_FN constexpr vec<bool, N> isordered(vec<T, N> x, vec<T, N> y) {
  return !isnan(x) && !isnan(y);
}
template <typename T, int N>
MF_FN constexpr vec<bool, N> isunordered(vec<T, N> x, vec<T, N> y) {
  return isnan(x) || isnan(y);
}

#define MF_COMPARE_NAMED(name, op)                                 \
  template <typename A, typename B>                                \
  MF_FN constexpr auto name(A x, B y) -> decltype(x op y) {        \
    return x op y;                                                 \
  }
MF_COMPARE_NAMED(isequal, ==)
MF_COMPARE_NAMED(isnotequal, !=)
MF_COMPARE_NAMED(isgreater, >)
MF_COMPARE_NAMED(isgreaterequal, >=)
MF_COMPARE_NAMED(isless, <)
MF_COMPARE_NAMED(islessequal, <=)
#undef MF_COMPARE_NAMED
template <typename A, typename B>
MF_FN constexpr auto islessgreater(A x, B y) -> decltype(x < y) {
  return x<y || x> y;
}

MF_FN constexpr bool any(bool x) { return x; }
MF_FN constexpr bool all(bool x) { return x; }
template <int N>
MF_FN constexpr bool any(vec<bool, N> x) {
  bool r = x.d[0];
  for (int i = 1; i < N; ++i) r |= x.d[i];
  return r;
}
template <int N>
MF_FN constexpr bool all(vec<bool, N> x) {
  bool r = x.d[0];
  for (int i = 1; i < N; ++i) r &= x.d[i];
  return r;
}

// select(a, b, c): b where c holds.
#define MF_SCALAR_SELECT(T, ...) \
  MF_FN constexpr T select(T a, T b, bool c) { return c ? b : a; }
MF_SCALAR_SELECT(bool)
MF_EACH_INTEGER(MF_SCALAR_SELECT, )
MF_EACH_FLOAT(MF_SCALAR_SELECT, )
template <typename A, typename B>
  requires mf::mixed<A, B>
MF_FN constexpr mf::common_t<A, B> select(A a, B b, bool c) {
  using C = mf::common_t<A, B>;
  return c ? C(b) : C(a);
}
template <typename T, int N>
MF_FN constexpr vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<bool, N> c) {
  if (!__builtin_is_constant_evaluated()) {
    using mask = decltype(a.d == b.d);
    return {mf::raw_t{}, __builtin_convertvector(c.d, mask) != mask(0) ? b.d : a.d};
  }
  vec<T, N> r(T(0));
  for (int i = 0; i < N; ++i) r.d[i] = c.d[i] ? b.d[i] : a.d[i];
  return r;
}
template <typename T, int N>
MF_FN constexpr vec<T, N> select(vec<T, N> a, mf::scalar_t<T> b, vec<bool, N> c) {
  return select(a, vec<T, N>(b), c);
}
template <typename T, int N>
MF_FN constexpr vec<T, N> select(mf::scalar_t<T> a, vec<T, N> b, vec<bool, N> c) {
  return select(vec<T, N>(a), b, c);
}
template <typename T, int N>
MF_FN constexpr vec<T, N> select(vec<T, N> a, vec<T, N> b, bool c) {
  return c ? b : a;
}

}  // namespace metal

#pragma float_control(pop)
