// MSL 6.5, <metal_math>: names over the cores, for float, half, bfloat and their vectors.
#pragma once
#pragma clang system_header

#include "metal_math_basic.h"
#include "metal_math_fast.h"
#include "metal_math_trig.h"

namespace mf {

// Applies a float function to every component, in float, rounded once.
template <typename T, int N, typename F>
MF_FN constexpr vec<T, N> lift(F f, vec<T, N> a) {
  return {raw_t{}, convert_lanes<T, float, N>(f(convert_lanes<float, T, N>(a.d)))};
}
template <typename T, int N, typename F>
MF_FN constexpr vec<T, N> lift(F f, vec<T, N> a, vec<T, N> b) {
  return {raw_t{}, convert_lanes<T, float, N>(f(convert_lanes<float, T, N>(a.d),
                                                convert_lanes<float, T, N>(b.d)))};
}
template <typename T, int N, typename F>
MF_FN constexpr vec<T, N> lift(F f, vec<T, N> a, vec<T, N> b, vec<T, N> c) {
  return {raw_t{}, convert_lanes<T, float, N>(f(convert_lanes<float, T, N>(a.d),
                                                convert_lanes<float, T, N>(b.d),
                                                convert_lanes<float, T, N>(c.d)))};
}
#define MF_CORE(name) [](auto... v) __attribute__((always_inline)) { return mf::name(v...); }

// Two different arithmetic types, at least one of them floating point: computed in their common type.
template <typename A, typename B>
concept mixed_floats = !MF_DECLARED && arithmetic<A> && arithmetic<B> && !__is_same(A, B) &&
                       (is_float_like<A> || is_float_like<B>);
template <typename A, typename B>
struct common {
  using type = decltype(A() * B());
};
template <typename A, typename B>
using common_t = typename common<A, B>::type;

}  // namespace mf

namespace metal {

#define MF_MATH1(name, core)                                                               \
  MF_FN constexpr float name(float x) { return mf::core(x); }                              \
  MF_FN constexpr half name(half x) { return half(mf::core(float(x))); }                   \
  MF_FN constexpr bfloat name(bfloat x) { return bfloat(mf::core(float(x))); }             \
  template <typename T, int N>                                                             \
    requires mf::is_float_like<T>                                                          \
  MF_FN constexpr vec<T, N> name(vec<T, N> x) {                                            \
    return mf::lift(MF_CORE(core), x);                                                     \
  }
#define MF_MATH2(name, core)                                                               \
  MF_FN constexpr float name(float x, float y) { return mf::core(x, y); }                  \
  MF_FN constexpr half name(half x, half y) { return half(mf::core(float(x), float(y))); } \
  MF_FN constexpr bfloat name(bfloat x, bfloat y) {                                        \
    return bfloat(mf::core(float(x), float(y)));                                           \
  }                                                                                        \
  template <typename A, typename B>                                                        \
    requires mf::mixed_floats<A, B>                                                        \
  MF_FN constexpr mf::common_t<A, B> name(A x, B y) {                                      \
    using C = mf::common_t<A, B>;                                                          \
    return name(C(x), C(y));                                                               \
  }                                                                                        \
  template <typename T, int N>                                                             \
    requires mf::is_float_like<T>                                                          \
  MF_FN constexpr vec<T, N> name(vec<T, N> x, vec<T, N> y) {                               \
    return mf::lift(MF_CORE(core), x, y);                                                  \
  }                                                                                        \
  template <typename T, int N>                                                             \
    requires mf::is_float_like<T>                                                          \
  MF_FN constexpr vec<T, N> name(vec<T, N> x, mf::scalar_t<T> y) {                      \
    return name(x, vec<T, N>(y));                                                          \
  }                                                                                        \
  template <typename T, int N>                                                             \
    requires mf::is_float_like<T>                                                          \
  MF_FN constexpr vec<T, N> name(mf::scalar_t<T> x, vec<T, N> y) {                      \
    return name(vec<T, N>(x), y);                                                          \
  }

#define MF_MATH3(name, core)                                                               \
  MF_FN constexpr float name(float x, float y, float z) { return mf::core(x, y, z); }      \
  MF_FN constexpr half name(half x, half y, half z) {                                      \
    return half(mf::core(float(x), float(y), float(z)));                                   \
  }                                                                                        \
  MF_FN constexpr bfloat name(bfloat x, bfloat y, bfloat z) {                              \
    return bfloat(mf::core(float(x), float(y), float(z)));                                 \
  }                                                                                        \
  template <typename A, typename B, typename C>                                            \
    requires(mf::mixed_floats<A, B> || mf::mixed_floats<B, C> || mf::mixed_floats<A, C>)   \
  MF_FN constexpr auto name(A x, B y, C z) {                                               \
    using R = mf::common_t<mf::common_t<A, B>, C>;                                         \
    return name(R(x), R(y), R(z));                                                         \
  }                                                                                        \
  template <typename T, int N>                                                             \
    requires mf::is_float_like<T>                                                          \
  MF_FN constexpr vec<T, N> name(vec<T, N> x, vec<T, N> y, vec<T, N> z) {                  \
    return mf::lift(MF_CORE(core), x, y, z);                                               \
  }

// Below 1 always, in the type of the argument: the difference may round up to 1.
#define MF_FRACT(T, below_one)                                                             \
  MF_FN constexpr T fract(T x) {                                                           \
    float r = mf::fract(float(x));                                                         \
    return T(r > below_one ? below_one : r);                                               \
  }                                                                                        \
  template <int N>                                                                         \
  MF_FN constexpr vec<T, N> fract(vec<T, N> x) {                                           \
    return mf::lift([](auto v) __attribute__((always_inline)) {                            \
      auto r = mf::fract(v);                                                               \
      return r > decltype(r)(below_one) ? decltype(r)(below_one) : r;                      \
    }, x);                                                                                 \
  }

MF_MATH1(ceil, ceil)
MF_MATH1(floor, floor)
MF_MATH1(trunc, trunc)
MF_MATH1(rint, rint)
MF_MATH1(round, round)
MF_MATH1(fabs, fabs)
MF_FRACT(float, 0x1.fffffep-1f)
MF_FRACT(half, 0x1.ffcp-1f)
MF_FRACT(bfloat, 0x1.fep-1f)
MF_MATH1(sqrt, sqrt)
MF_MATH1(rsqrt, rsqrt)
MF_MATH2(copysign, copysign)
MF_MATH2(divide, divide)
MF_MATH2(fmax, fmax)
MF_MATH2(fmin, fmin)
MF_MATH2(fdim, fdim)
MF_MATH2(fmod, fmod)
MF_MATH2(powr, powr)
MF_MATH3(fma, fma)
MF_MATH3(fmax3, fmax3)
MF_MATH3(fmin3, fmin3)
MF_MATH3(fmedian3, fmedian3)
MF_MATH1(exp, exp)
MF_MATH1(exp2, exp2)
MF_MATH1(log, log)
MF_MATH1(log2, log2)
// What the math mode decides. MF_FLAVOURED(precision) gives the names their cores.
#define MF_PRECISE(name) name
#define MF_BY_FORMULA(name) name##_fast
#define MF_FLAVOURED(core)                                                                 \
  MF_MATH1(exp10, core(exp10))                                                             \
  MF_MATH1(log10, core(log10))                                                             \
  MF_MATH1(tanh, core(tanh))                                                               \
  MF_MATH1(sinh, core(sinh))                                                               \
  MF_MATH1(cosh, core(cosh))                                                               \
  MF_MATH1(sin, core(sin))                                                                 \
  MF_MATH1(cos, core(cos))                                                                 \
  MF_MATH1(tan, core(tan))                                                                 \
  MF_MATH1(asinh, core(asinh))                                                             \
  MF_MATH1(acosh, core(acosh))                                                             \
  MF_MATH1(atanh, core(atanh))                                                             \
  MF_MATH2(pow, core(pow))                                                                 \
  MF_MATH2(atan2, core(atan2))
#if defined(__FAST_MATH__)  // the plain names are the fast ones then, as in Metal
MF_FLAVOURED(MF_BY_FORMULA)
#else
MF_FLAVOURED(MF_PRECISE)
#endif
MF_MATH1(sinpi, sinpi)
MF_MATH1(cospi, cospi)
MF_MATH1(tanpi, tanpi)
MF_MATH1(asin, asin)
MF_MATH1(acos, acos)
MF_MATH1(atan, atan)

}  // namespace metal
