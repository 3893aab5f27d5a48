// MSL 6.5:
// Rounding, roots, powers and other direct functions on float or a clang vector of float; see
// metal_math_core.h.
#pragma once
#pragma clang system_header

#include "metal_math_core.h"

#pragma float_control(precise, on, push)
#pragma clang fp contract(fast)

namespace mf {

template <typename F>
MF_FN constexpr F ceil(F x) {
  return __builtin_elementwise_ceil(x);
}
template <typename F>
MF_FN constexpr F floor(F x) {
  return __builtin_elementwise_floor(x);
}
template <typename F>
MF_FN constexpr F trunc(F x) {
  return __builtin_elementwise_trunc(x);
}
// Ties to even, the rounding mode of the machine and of Metal.
template <typename F>
MF_FN constexpr F rint(F x) {
  return __builtin_elementwise_roundeven(x);
}
// Ties away from zero.
template <typename F>
MF_FN constexpr F round(F x) {
  F whole = __builtin_elementwise_trunc(x);
  F rest = magnitude(x - whole);
  return with_sign(magnitude(whole) + (rest >= F(0.5f) ? F(1.0f) : F(0.0f)), x);
}
template <typename F>
MF_FN constexpr F fabs(F x) {
  return magnitude(x);
}
template <typename F>
MF_FN constexpr F copysign(F x, F y) {
  return with_sign(x, y);
}
template <typename F>
MF_FN constexpr F fma(F x, F y, F z) {
#if defined(__x86_64__) && !defined(__FMA__)
  return to_float<F>(to_double(x) * to_double(y) + to_double(z));  // no instruction for it
#else
  return __builtin_elementwise_fma(x, y, z);
#endif
}
template <typename F>
MF_FN constexpr F divide(F x, F y) {
  return x / y;
}
template <typename F>
MF_FN constexpr F fmax(F x, F y) {
  return x < y ? y : (x == x ? x : y);
}
template <typename F>
MF_FN constexpr F fmin(F x, F y) {
  return y < x ? y : (x == x ? x : y);
}
template <typename F>
MF_FN constexpr F fmax3(F x, F y, F z) {
  return fmax(fmax(x, y), z);
}
template <typename F>
MF_FN constexpr F fmin3(F x, F y, F z) {
  return fmin(fmin(x, y), z);
}
template <typename F>
MF_FN constexpr F fmedian3(F x, F y, F z) {
  return fmax(fmin(x, y), fmin(fmax(x, y), z));
}
template <typename F>
MF_FN constexpr F fdim(F x, F y) {
  F r = x > y ? x - y : F(0.0f);
  return x == x ? (y == y ? r : y) : x;
}
// Below 1 always: the largest float under 1 where the difference rounds up.
template <typename F>
MF_FN constexpr F fract(F x) {
  F r = x - floor(x);
  return r < F(1.0f) ? r : (r == r ? F(0x1.fffffep-1f) : r);
}
template <typename F>
MF_FN F sqrt(F x) {
  return __builtin_elementwise_sqrt(x);
}
// 1 / sqrt(x) and one correction by the exact residual.
template <typename F>
MF_FN F rsqrt(F x) {
  F y = F(1.0f) / __builtin_elementwise_sqrt(x);
  F h = x * y;
  F low = fma(x, y, -h);
  F e = fma(-h, y, F(1.0f)) - low * y;
  F better = y + F(0.5f) * y * e;
  auto usual = (x >= F(0x1p-126f)) & (x < F(INFINITY));
  return usual ? better : y;
}

// x - y * trunc(x / y), exact: multiples of y are taken off in pieces of 29 bits, whose product
// with y a double holds without rounding.
MF_FN float fmod_scalar(float x, float y) {
  if (!(magnitude(x) < INFINITY) || !(magnitude(y) > 0.0f)) return NAN;
  double a = magnitude(x);
  const double b = magnitude(y);
  while (a >= b) {
    double q = a / b;
    if (q < 0x1p29L) {
      double rest = a - __builtin_trunc(q) * b;
      a = rest < 0 ? rest + b : rest;
      break;
    }
    q = q * (1.0L - 0x1p-28L);  // never more than the true quotient
    q = __builtin_bit_cast(double, __builtin_bit_cast(long, q) & (-1L << 24));
    a = a - q * b;
  }
  return with_sign(static_cast<float>(a), x);
}
template <typename F>
MF_FN F fmod(F x, F y) {
  if constexpr (__is_same(F, float)) {
    return fmod_scalar(x, y);
  } else {
    F r = {};
    for (int i = 0; i < __builtin_vectorelements(F); ++i) r[i] = fmod_scalar(x[i], y[i]);
    return r;
  }
}

// x^y for x >= 0, through log2 and 2^x in double.
template <typename F>
MF_FN constexpr F powr(F x, F y) {
  using D = d_of<F>;
  D p = to_double(y) * log2_d(to_double(x));
  p = p < D(-200.0L) ? D(-200.0L) : p;
  p = p > D(200.0L) ? D(200.0L) : p;
  F r = to_float<F>(exp2_d(p));
  auto zero = x == F(0.0f);
  auto infinite = x == F(INFINITY);
  r = (zero & (y > F(0.0f))) | (infinite & (y < F(0.0f))) ? F(0.0f) : r;
  r = (zero & (y < F(0.0f))) | (infinite & (y > F(0.0f))) ? F(INFINITY) : r;
  auto y_infinite = magnitude(y) == F(INFINITY);
  r = y_infinite & (x < F(1.0f)) ? (y > F(0.0f) ? F(0.0f) : F(INFINITY)) : r;
  r = y_infinite & (x > F(1.0f)) ? (y > F(0.0f) ? F(INFINITY) : F(0.0f)) : r;
  auto undefined = (x < F(0.0f)) | (x != x) | (y != y) | ((zero | infinite) & (y == F(0.0f))) |
                   (y_infinite & (x == F(1.0f)));
  return undefined ? F(NAN) : r;
}
template <typename F>
MF_FN constexpr F pow(F x, F y) {
  F r = powr(magnitude(x), y);
  F half_y = y * F(0.5f);
  auto whole = trunc(y) == y;
  auto odd = whole & (trunc(half_y) != half_y) & (magnitude(y) < F(0x1p24f));
  auto negative = bits(x) < i_of<F>(0);
  r = negative & odd ? -r : r;
  auto finite_negative = (x < F(0.0f)) & (magnitude(x) < F(INFINITY));
  r = finite_negative & !whole ? F(NAN) : r;
  return (x == F(1.0f)) | (y == F(0.0f)) ? F(1.0f)
         : (magnitude(x) == F(1.0f)) & (magnitude(y) == F(INFINITY)) ? F(1.0f) : r;
}

template <typename F>
MF_FN constexpr F ldexp(F x, i_of<F> k) {
  k = k < i_of<F>(-300) ? i_of<F>(-300) : k;
  k = k > i_of<F>(300) ? i_of<F>(300) : k;
  i_of<F> a = k / i_of<F>(3);
  i_of<F> b = (k - a) / i_of<F>(2);
  using D = d_of<F>;
  D s = to_double(power_of_two<F>(a)) * to_double(power_of_two<F>(b)) *
        to_double(power_of_two<F>(k - a - b));
  return to_float<F>(to_double(x) * s);  // one rounding
}

}  // namespace mf

#pragma float_control(pop)
