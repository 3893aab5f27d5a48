// MSL 6.2, <metal_common>: min/max/clamp/abs family, for every scalar type and vector.
#pragma once
#pragma clang system_header

#include "metal_math.h"

#pragma float_control(precise, on, push)

namespace mf {

// Not NaN-propagating: a NaN operand yields the other one, as fmin and fmax do.
template <typename T>
MF_FN constexpr T lesser(T a, T b) {
  if constexpr (is_float_like<T>) {
    return b < a ? b : (a == a ? a : b);
  } else {
    return b < a ? b : a;
  }
}
template <typename T>
MF_FN constexpr T greater(T a, T b) {
  if constexpr (is_float_like<T>) {
    return a < b ? b : (a == a ? a : b);
  } else {
    return a < b ? b : a;
  }
}
template <typename T>
MF_FN constexpr T absolute(T v) {
  if constexpr (__is_same(T, float)) {
    return __builtin_fabsf(v);
  } else if constexpr (is_float_like<T>) {
    return __builtin_bit_cast(
        T, static_cast<ushort>(__builtin_bit_cast(ushort, v) & ushort(0x7fff)));
  } else if constexpr (__is_signed(T)) {
    return static_cast<T>(v < 0 ? -v : v);
  } else {
    return v;
  }
}

// The same of vectors, without branches; the compiler knows no such choice in constants.
template <typename T, int N>
MF_FN constexpr vec<T, N> lesser(vec<T, N> a, vec<T, N> b) {
  if (__builtin_is_constant_evaluated())
    return map<T>([](T x, T y) __attribute__((always_inline)) { return lesser(x, y); }, a, b);
  auto x = work<T, N>(a.d), y = work<T, N>(b.d);
  return {raw_t{}, unwork<T, N>(y < x ? y : (x == x ? x : y))};
}
template <typename T, int N>
MF_FN constexpr vec<T, N> greater(vec<T, N> a, vec<T, N> b) {
  if (__builtin_is_constant_evaluated())
    return map<T>([](T x, T y) __attribute__((always_inline)) { return greater(x, y); }, a, b);
  auto x = work<T, N>(a.d), y = work<T, N>(b.d);
  return {raw_t{}, unwork<T, N>(x < y ? y : (x == x ? x : y))};
}
template <typename T, int N>
MF_FN constexpr vec<T, N> absolute(vec<T, N> a) {
  return map<T>([](T x) __attribute__((always_inline)) { return absolute(x); }, a);
}

// Metal has one overload for each type, so that arguments of two types are ambiguous; the overloads
// for them are left out where a text is judged. Where it runs it has been judged already.
template <typename A, typename B>
concept mixed = !MF_DECLARED && arithmetic<A> && arithmetic<B> && !__is_same(A, B);
template <typename A, typename B, typename C>
concept mixed3 = !MF_DECLARED && arithmetic<A> && arithmetic<B> && arithmetic<C> &&
                 !(__is_same(A, B) && __is_same(B, C));

}  // namespace mf

namespace metal {

// A function of two values of one type: exact overloads for every scalar (so that a user's own
// template of the same name never competes), a fallback for mixed scalars, and vectors.
#define MF_SCALAR2(T, name, impl) \
  MF_FN constexpr T name(T a, T b) { return mf::impl(a, b); }
#define MF_VECTOR2(name, impl, accepts)                                          \
  template <typename T, int N>                                                   \
    requires accepts<T>                                                          \
  MF_FN constexpr vec<T, N> name(vec<T, N> a, vec<T, N> b) {                     \
    return mf::impl(a, b);                                                       \
  }                                                                              \
  template <typename T, int N>                                                   \
    requires accepts<T>                                                          \
  MF_FN constexpr vec<T, N> name(vec<T, N> a, mf::scalar_t<T> b) {            \
    return mf::impl(a, vec<T, N>(b));                                            \
  }                                                                              \
  template <typename T, int N>                                                   \
    requires accepts<T>                                                          \
  MF_FN constexpr vec<T, N> name(mf::scalar_t<T> a, vec<T, N> b) {            \
    return mf::impl(vec<T, N>(a), b);                                            \
  }
#define MF_MIXED2(name)                                                          \
  template <typename A, typename B>                                              \
    requires mf::mixed<A, B>                                                     \
  MF_FN constexpr mf::common_t<A, B> name(A a, B b) {                            \
    using C = mf::common_t<A, B>;                                                \
    return name(C(a), C(b));                                                     \
  }
#define MF_EACH_INTEGER(M, ...)                                                            \
  M(char, __VA_ARGS__) M(signed char, __VA_ARGS__) M(uchar, __VA_ARGS__) M(short, __VA_ARGS__) \
  M(ushort, __VA_ARGS__) M(int, __VA_ARGS__) M(uint, __VA_ARGS__) M(long, __VA_ARGS__)      \
  M(ulong, __VA_ARGS__) M(long long, __VA_ARGS__) M(unsigned long long, __VA_ARGS__)
#define MF_EACH_FLOAT(M, ...) M(float, __VA_ARGS__) M(half, __VA_ARGS__) M(bfloat, __VA_ARGS__)

MF_EACH_INTEGER(MF_SCALAR2, max, greater)
MF_EACH_FLOAT(MF_SCALAR2, max, greater)
MF_MIXED2(max)
MF_VECTOR2(max, greater, mf::arithmetic)
MF_EACH_INTEGER(MF_SCALAR2, min, lesser)
MF_EACH_FLOAT(MF_SCALAR2, min, lesser)
MF_MIXED2(min)
MF_VECTOR2(min, lesser, mf::arithmetic)

#define MF_SCALAR_ABS(T, ...) \
  MF_FN constexpr T abs(T a) { return mf::absolute(a); }
MF_EACH_INTEGER(MF_SCALAR_ABS, )
MF_EACH_FLOAT(MF_SCALAR_ABS, )
template <typename T, int N>
MF_FN constexpr vec<T, N> abs(vec<T, N> a) {
  return mf::absolute(a);
}

#define MF_SCALAR_CLAMP(T, ...) \
  MF_FN constexpr T clamp(T x, T lo, T hi) { return mf::lesser(mf::greater(x, lo), hi); }
MF_EACH_INTEGER(MF_SCALAR_CLAMP, )
MF_EACH_FLOAT(MF_SCALAR_CLAMP, )
template <typename A, typename B, typename C>
  requires mf::mixed3<A, B, C>
MF_FN constexpr auto clamp(A x, B lo, C hi) {
  using R = mf::common_t<mf::common_t<A, B>, C>;
  return clamp(R(x), R(lo), R(hi));
}
template <typename T, int N>
MF_FN constexpr vec<T, N> clamp(vec<T, N> x, vec<T, N> lo, vec<T, N> hi) {
  return mf::lesser(mf::greater(x, lo), hi);
}

// One function of floating-point values written once for a scalar or vector type V.
#define MF_FLOAT_SCALARS(M) M(float) M(half) M(bfloat)

#define MF_COMMON(V)                                                              \
  MF_FN constexpr V sign(V x) { return x > V(0) ? V(1) : (x < V(0) ? V(-1) : (x == x ? x : V(0))); } \
  MF_FN constexpr V saturate(V x) { return mf::lesser(mf::greater(x, V(0)), V(1)); } \
  MF_FN constexpr V mix(V x, V y, V a) { return V(x + V(V(y - x) * a)); }          \
  MF_FN constexpr V step(V edge, V x) { return x < edge ? V(0) : V(1); }           \
  MF_FN constexpr V smoothstep(V e0, V e1, V x) {                                  \
    V t = saturate(V(V(x - e0) / V(e1 - e0)));                                     \
    return V(V(t * t) * V(V(3) - V(V(2) * t)));                                    \
  }                                                                               \
  MF_FN constexpr V degrees(V x) { return V(x * V(57.2957795130823209f)); }        \
  MF_FN constexpr V radians(V x) { return V(x * V(0.0174532925199432958f)); }
MF_FLOAT_SCALARS(MF_COMMON)
#undef MF_COMMON

template <typename A, typename B, typename C>
  requires mf::mixed3<A, B, C>
MF_FN constexpr auto mix(A x, B y, C a) {
  using R = mf::common_t<mf::common_t<A, B>, C>;
  return mix(R(x), R(y), R(a));
}
template <typename A, typename B>
  requires mf::mixed_floats<A, B>
MF_FN constexpr auto step(A edge, B x) {
  using R = mf::common_t<A, B>;
  return step(R(edge), R(x));
}
template <typename A, typename B, typename C>
  requires mf::mixed3<A, B, C>
MF_FN constexpr auto smoothstep(A e0, B e1, C x) {
  using R = mf::common_t<mf::common_t<A, B>, C>;
  return smoothstep(R(e0), R(e1), R(x));
}

#define MF_MAP1(name)                                                                        \
  template <typename T, int N>                                                               \
    requires mf::is_float_like<T>                                                            \
  MF_FN constexpr vec<T, N> name(vec<T, N> x) {                                              \
    return mf::map<T>([](T v) __attribute__((always_inline)) { return name(v); }, x);        \
  }
MF_MAP1(sign)
template <typename T, int N>
  requires mf::is_float_like<T>
MF_FN constexpr vec<T, N> saturate(vec<T, N> x) {
  return mf::lesser(mf::greater(x, vec<T, N>(T(0))), vec<T, N>(T(1)));
}
MF_MAP1(degrees)
MF_MAP1(radians)

template <typename T, int N>
MF_FN constexpr vec<T, N> mix(vec<T, N> x, vec<T, N> y, vec<T, N> a) {
  return x + (y - x) * a;
}
template <typename T, int N>
MF_FN constexpr vec<T, N> step(vec<T, N> edge, vec<T, N> x) {
  return mf::map<T>([](T e, T v) __attribute__((always_inline)) { return step(e, v); }, edge, x);
}
template <typename T, int N>
MF_FN constexpr vec<T, N> smoothstep(vec<T, N> e0, vec<T, N> e1, vec<T, N> x) {
  vec<T, N> t = saturate((x - e0) / (e1 - e0));
  return t * t * (vec<T, N>(3) - vec<T, N>(2) * t);
}

}  // namespace metal

#pragma float_control(pop)
