// MSL 6.5: Circular functions on float or a clang vector of float; see metal_math_core.h.
#pragma once
#pragma clang system_header

#include "metal_math_core.h"
#include "metal_math_digits.h"

#pragma float_control(precise, on, push)
#pragma clang fp contract(fast)

namespace mf {

// sine and cosine of r in [-pi/4, pi/4], turned by `quadrant` quarter circles.
template <typename F>
MF_FN constexpr void sincos_turned(F r, i_of<F> quadrant, F& s, F& c) {
  F z = r * r;
  F sp = r + r * z * poly(z, -1.6666654611e-1f, 8.3321608736e-3f, -1.9515295891e-4f);
  sp = with_sign(sp, r);  // keeps -0, which adding 0 would lose
  F cp = F(1.0f) - F(0.5f) * z +
         z * z * poly(z, 4.166664568298827e-2f, -1.388731625493765e-3f, 2.443315711809948e-5f);
  auto swapped = (quadrant & i_of<F>(1)) != i_of<F>(0);
  F a = swapped ? cp : sp;
  F b = swapped ? sp : cp;
  s = from_bits<F>(bits(a) ^ ((quadrant & i_of<F>(2)) << i_of<F>(30)));
  c = from_bits<F>(bits(b) ^ (((quadrant + i_of<F>(1)) & i_of<F>(2)) << i_of<F>(30)));
}

template <typename F>
MF_FN constexpr i_of<F> low_int(d_of<F> t) {
  if constexpr (__is_same(F, float)) {
    return static_cast<int>(__builtin_bit_cast(long, t));
  } else {
    return __builtin_convertvector(__builtin_bit_cast(l_of<F>, t), i_of<F>);
  }
}

// The angle of x beyond the nearest multiple of pi/2, for x of any size.
template <typename F>
MF_FN constexpr F reduce_quarter(F x, i_of<F>& quadrant) {
  using D = d_of<F>;
  using I = i_of<F>;
  I k = ((bits(x) >> I(23)) & I(0xff)) - I(150);
  k = k < I(0) ? I(0) : k;
  k = k > I(104) ? I(104) : k;
  D m = to_double(from_bits<F>(bits(x) - (k << I(23))));  // x = m 2^k; m is whole where k > 0
  D product = m * two_over_pi_part<F>(k, 0);
  D whole = product + D(round_magic_d);
  D rest = (product - (whole - D(round_magic_d))) + m * two_over_pi_part<F>(k, 1);
  D more = rest + D(round_magic_d);
  quadrant = low_int<F>(whole) + low_int<F>(more);
  F r = to_float<F>((rest - (more - D(round_magic_d))) * D(1.57079632679489661923L));
  r = x == F(0.0f) ? x : r;  // keeps -0
  return magnitude(x) < F(INFINITY) ? r : F(NAN);
}
// The same for |x| < 2^28, without looking up digits of 2/pi.
template <typename F>
MF_FN constexpr F reduce_near(F x, i_of<F>& quadrant) {
  using D = d_of<F>;
  D w = to_double(x);
  D t = w * D(0.636619772367581343076L) + D(round_magic_d);
  D n = t - D(round_magic_d);
  quadrant = low_int<F>(t);
  D r = w - n * D(1.57079631090164184570L);
  return to_float<F>(r - n * D(1.58932547735281966916e-8L));
}

#define MF_CIRCULAR(suffix, reduce)               \
  template <typename F>                           \
  MF_FN constexpr F sincos##suffix(F x, F& c) {   \
    i_of<F> quadrant = {};                        \
    F r = reduce(x, quadrant);                    \
    F s = {};                                     \
    sincos_turned(r, quadrant, s, c);             \
    return s;                                     \
  }                                               \
  template <typename F>                           \
  MF_FN constexpr F sin##suffix(F x) {            \
    F c = {};                                     \
    return sincos##suffix(x, c);                  \
  }                                               \
  template <typename F>                           \
  MF_FN constexpr F cos##suffix(F x) {            \
    F c = {};                                     \
    sincos##suffix(x, c);                         \
    return c;                                     \
  }                                               \
  template <typename F>                           \
  MF_FN constexpr F tan##suffix(F x) {            \
    F c = {};                                     \
    F s = sincos##suffix(x, c);                   \
    return s / c;                                 \
  }
MF_CIRCULAR(, reduce_quarter)
MF_CIRCULAR(_near, reduce_near)
#undef MF_CIRCULAR

// atan(q) for q in [0, 1].
template <typename F>
MF_FN constexpr F atan_unit(F q) {
  F z = q * q;
  return q + q * z * poly(z, -0x1.55553ep-2f, 0x1.9991fep-3f, -0x1.2421b4p-3f, 0x1.c099f2p-4f,
                          -0x1.58346cp-4f, 0x1.dac964p-5f, -0x1.fed062p-6f, 0x1.65a54ep-7f,
                          -0x1.d62e0cp-10f);
}
template <typename F>
MF_FN constexpr F atan(F x) {
  F a = magnitude(x);
  auto steep = a > F(1.0f);
  F r = atan_unit(steep ? F(1.0f) / a : a);
  r = steep ? F(1.57079632679489662f) - r : r;
  return with_sign(r, x);
}
// The angle of the point (x, y); NaN in, NaN out.
template <typename F>
MF_FN constexpr F atan2(F y, F x) {
  F a = magnitude(x);
  F b = magnitude(y);
  auto steep = b > a;
  F top = steep ? b : a;
  F low = steep ? a : b;
  F q = low / top;
  q = top == F(0.0f) ? F(0.0f) : q;
  q = low == F(INFINITY) ? F(1.0f) : q;
  F r = atan_unit(q);
  r = steep ? F(1.57079632679489662f) - r : r;
  r = bits(x) < i_of<F>(0) ? F(3.14159265358979324f) - r : r;
  r = with_sign(r, y);
  r = x == x ? r : x;
  return y == y ? r : y;
}

// asin(q) for q in [0, 1/2].
template <typename F>
MF_FN constexpr F asin_half(F q) {
  F z = q * q;
  return q + q * z * poly(z, 0x1.55554cp-3f, 0x1.33388ep-4f, 0x1.6cac3cp-5f, 0x1.04a65cp-5f,
                          0x1.d7f1e4p-7f, 0x1.33bbe8p-5f);
}
// Past 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)).
template <typename F>
MF_FN F asin(F x) {
  F a = magnitude(x);
  auto outer = a > F(0.5f);
  F r = asin_half(outer ? __builtin_elementwise_sqrt((F(1.0f) - a) * F(0.5f)) : a);
  r = outer ? F(1.57079632679489662f) - (r + r) : r;
  return with_sign(r, x);
}
template <typename F>
MF_FN F acos(F x) {
  F a = magnitude(x);
  auto outer = a > F(0.5f);
  F r = asin_half(outer ? __builtin_elementwise_sqrt((F(1.0f) - a) * F(0.5f)) : a);
  F inner_angle = F(1.57079632679489662f) - (with_sign(r, x) - F(-4.37113883e-8f));
  F outer_angle = x > F(0.0f) ? r + r : F(3.14159265358979324f) - (r + r);
  return outer ? outer_angle : inner_angle;
}

// x in half turns: exact reduction, then the angle in radians to one rounding.
template <typename F>
MF_FN constexpr F sincospi(F x, F& c) {
  F t = x + x;
  F n = __builtin_elementwise_roundeven(t);
  F r = x - F(0.5f) * n;
  F far = n - F(4.0f) * __builtin_elementwise_floor(n * F(0.25f));  // 0..3, any size of n
  i_of<F> quadrant = bits(far + F(round_magic)) - i_of<F>(0x4b400000);
  F angle = r * F(3.14159274101257324f) + r * F(-8.74227800e-8f);
  F s = {};
  sincos_turned(angle, quadrant, s, c);
  return s;
}
template <typename F>
MF_FN constexpr F sinpi(F x) {
  F c = {};
  F s = sincospi(x, c);
  return with_sign(s == F(0.0f) ? F(0.0f) : s, s == F(0.0f) ? x : s);
}
template <typename F>
MF_FN constexpr F cospi(F x) {
  F c = {};
  sincospi(x, c);
  return c == F(0.0f) ? F(0.0f) : c;
}
template <typename F>
MF_FN constexpr F tanpi(F x) {
  F c = {};
  F s = sincospi(x, c);
  return s / c;
}

// Inverse hyperbolic functions in double: no cancellation left that float could show.
template <typename D>
MF_FN constexpr D log_d(D x) {
  return log2_d(x) * D(0.693147180559945309417L);
}
template <typename F>
MF_FN F asinh(F x) {
  using D = d_of<F>;
  F a = magnitude(x);
  D w = to_double(a);
  F r = to_float<F>(log_d(w + __builtin_elementwise_sqrt(w * w + D(1.0L))));
  r = a < F(1e-3f) ? a - a * a * a * F(0.166666667f) : r;
  r = a < F(INFINITY) ? r : a;
  return with_sign(r, x);
}
template <typename F>
MF_FN F acosh(F x) {
  using D = d_of<F>;
  D w = to_double(x);
  D t = w - D(1.0L);
  D root = __builtin_elementwise_sqrt(t * (w + D(1.0L)));
  // log(1 + u) for small u, where adding u to 1 would drop its low bits.
  D u = t + root;
  D series = u * (D(1.0L) - u * (D(0.5L) - u * D(0.333333333333333333L)));
  D r = u < D(1e-4L) ? series : log_d(D(1.0L) + u);
  F y = to_float<F>(r);
  y = x < F(INFINITY) ? y : x;
  return x >= F(1.0f) ? y : F(NAN);
}
template <typename F>
MF_FN F atanh(F x) {
  using D = d_of<F>;
  F a = magnitude(x);
  D w = to_double(a);
  F r = to_float<F>(log_d((D(1.0L) + w) / (D(1.0L) - w)) * D(0.5L));
  r = a < F(1e-3f) ? a + a * a * a * F(0.333333333f) : r;
  r = a == F(1.0f) ? F(INFINITY) : r;
  return a <= F(1.0f) ? with_sign(r, x) : F(NAN);
}

}  // namespace mf

#pragma float_control(pop)
