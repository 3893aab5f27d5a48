// MSL 6.5:
// Exponential, logarithm and hyperbolic functions, branch-free, on float or a clang vector of
// float, so that loops vectorise. Errors are measured against float64 by tests/msl.
//
// Polynomials are weighted minimax fits (Lawson iteration) on the reduced interval. The pragmas
// keep exact steps exact under the fast mathematics mode.
#pragma once
#pragma clang system_header

#include "metal_vector.h"

#pragma float_control(precise, on, push)
#pragma clang fp contract(fast)

namespace mf {

// float, double, int and long of one shape: scalars or vectors of N.
template <typename F>
struct shape {
  using f = float;
  using d = double;
  using i = int;
  using u = unsigned;
  using l = long;
};
template <typename T, int N>
struct shape<ext<T, N>> {
  using f = ext<float, N>;
  using d = ext<double, N>;
  using i = ext<int, N>;
  using u = ext<unsigned, N>;
  using l = ext<long, N>;
};
template <typename F>
using f_of = typename shape<F>::f;
template <typename F>
using d_of = typename shape<F>::d;
template <typename F>
using i_of = typename shape<F>::i;
template <typename F>
using u_of = typename shape<F>::u;
template <typename F>
using l_of = typename shape<F>::l;

template <typename F>
MF_FN constexpr i_of<F> bits(F x) {
  return __builtin_bit_cast(i_of<F>, x);
}
template <typename F>
MF_FN constexpr F from_bits(i_of<F> x) {
  return __builtin_bit_cast(F, x);
}
template <typename F>
MF_FN constexpr d_of<F> to_double(F x) {
  if constexpr (__is_same(F, float)) {
    return x;
  } else {
    return __builtin_convertvector(x, d_of<F>);
  }
}
template <typename F>
MF_FN constexpr F to_float(d_of<F> x) {
  if constexpr (__is_same(F, float)) {
    return static_cast<float>(x);
  } else {
    return __builtin_convertvector(x, F);
  }
}
template <typename F>
MF_FN constexpr F int_to_float(i_of<F> x) {
  if constexpr (__is_same(F, float)) {
    return static_cast<float>(x);
  } else {
    return __builtin_convertvector(x, F);
  }
}
template <typename F>
MF_FN constexpr F magnitude(F x) {
  return from_bits<F>(bits(x) & i_of<F>(0x7fffffff));
}
template <typename F>
MF_FN constexpr F with_sign(F x, F sign) {
  return from_bits<F>((bits(x) & i_of<F>(0x7fffffff)) | (bits(sign) & i_of<F>(-0x7fffffff - 1)));
}

// c0 + c1 x + c2 x^2 + ...
template <typename F>
MF_FN constexpr F poly(F, float c) {
  return F(c);
}
template <typename F, typename... C>
MF_FN constexpr F poly(F x, float c, C... rest) {
  return poly(x, rest...) * x + F(c);
}
template <typename D>
MF_FN constexpr D poly_d(D, double c) {
  return D(c);
}
template <typename D, typename... C>
MF_FN constexpr D poly_d(D x, double c, C... rest) {
  return poly_d(x, rest...) * x + D(c);
}

constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
constexpr double round_magic_d = 6755399441055744.0L;

// 2^n for n in [-126, 127].
template <typename F>
MF_FN constexpr F power_of_two(i_of<F> n) {
  return from_bits<F>((n + i_of<F>(127)) << i_of<F>(23));
}
// y * 2^n over the whole range, denormal results included.
template <typename F>
MF_FN constexpr F scale(F y, i_of<F> n) {
  i_of<F> half_n = n >> i_of<F>(1);
  return y * power_of_two<F>(half_n) * power_of_two<F>(n - half_n);
}
template <typename F>
MF_FN constexpr F clamp_keep_nan(F x, float lo, float hi) {
  x = x < F(lo) ? F(lo) : x;
  return x > F(hi) ? F(hi) : x;
}

// x = n ln2 + r; returns e^r - 1.
template <typename F>
MF_FN constexpr F expm1_reduced(F x, i_of<F>& n) {
  F t = x * F(1.44269504088896341f) + F(round_magic);
  n = bits(t) - i_of<F>(0x4b400000);
  F k = t - F(round_magic);
  F r = x - k * F(0.693359375f);
  r = r + k * F(2.12194440e-4f);
  F p = poly(r, 0x1.0p-1f, 0x1.555554p-3f, 0x1.555486p-5f, 0x1.11128p-7f, 0x1.6d945cp-10f,
             0x1.9f02d0p-13f);
  return r + r * r * p;
}

template <typename F>
MF_FN constexpr F exp(F x) {
  i_of<F> n = {};
  F p = expm1_reduced(clamp_keep_nan(x, -104.0f, 89.0f), n);
  return scale(F(1.0f) + p, n);
}

template <typename F>
MF_FN constexpr F exp2_reduced(F r) {
  F p = poly(r, 0x1.62e430p-1f, 0x1.ebfbe0p-3f, 0x1.c6b08ap-5f, 0x1.3b29ecp-7f, 0x1.5d8aa0p-10f,
             0x1.446350p-13f, 0x1.fddc44p-17f);
  return F(1.0f) + r * p;
}
template <typename F>
MF_FN constexpr F exp2(F x) {
  x = clamp_keep_nan(x, -151.0f, 129.0f);
  F t = x + F(round_magic);
  return scale(exp2_reduced(x - (t - F(round_magic))), bits(t) - i_of<F>(0x4b400000));
}

template <typename F>
MF_FN constexpr F exp10(F x) {
  x = clamp_keep_nan(x, -46.0f, 39.0f);
  F t = x * F(3.32192809488736235f) + F(round_magic);
  i_of<F> n = bits(t) - i_of<F>(0x4b400000);
  F k = t - F(round_magic);
  F r = x - k * F(0x1.344p-2f);           // log10(2) in two parts, the first of 11 bits
  r = r - k * F(0x1.3509f8p-18f);
  F p = r * F(2.30258509299404568f);
  i_of<F> zero = {};
  F e = expm1_reduced(p, zero);           // |p| < ln2 / 2 up to rounding: n is 0
  return scale(scale(F(1.0f) + e, zero), n);
}

// x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2). For positive finite x, denormals included.
template <typename F>
MF_FN constexpr F log_split(F x, F& e) {
  auto tiny = x < F(0x1p-126f);
  x = tiny ? x * F(0x1p25f) : x;
  i_of<F> b = bits(x) - i_of<F>(0x3f3504f3);
  e = int_to_float<F>(b >> i_of<F>(23)) - (tiny ? F(25.0f) : F(0.0f));
  return from_bits<F>((b & i_of<F>(0x007fffff)) + i_of<F>(0x3f3504f3)) - F(1.0f);
}
// log(1 + f) - f
template <typename F>
MF_FN constexpr F log1p_tail(F f) {
  F p = poly(f, 0x1.555546p-2f, -0x1.ffffeep-3f, 0x1.99a54cp-3f, -0x1.5562f4p-3f, 0x1.23323cp-3f,
             -0x1.fb401ep-4f, 0x1.e655a4p-4f, -0x1.e2ff2cp-4f, 0x1.1b51a0p-4f);
  return f * f * (f * p - F(0.5f));
}
// The values at and below zero, at infinity and for NaN.
template <typename F>
MF_FN constexpr F log_edges(F x, F y) {
  y = x == F(INFINITY) ? x : y;
  y = x == F(0.0f) ? F(-INFINITY) : y;
  return x >= F(0.0f) ? y : F(NAN);
}

template <typename F>
MF_FN constexpr F log(F x) {
  F e = {};
  F f = log_split(x, e);
  F t = log1p_tail(f) + e * F(-2.12194440e-4f);
  return log_edges(x, (f + t) + e * F(0.693359375f));
}
template <typename F>
MF_FN constexpr F log2(F x) {
  F e = {};
  F f = log_split(x, e);
  F t = log1p_tail(f);
  F low = t * F(1.44269504088896341f) + f * F(1.92596303e-8f);
  return log_edges(x, (f * F(1.44269502162933349609375f) + low) + e);
}
template <typename F>
MF_FN constexpr F log10(F x) {
  F e = {};
  F f = log_split(x, e);
  F t = log1p_tail(f);
  F low = t * F(0.434294481903251828f) + e * F(0x1.3509f8p-18f);
  low = low + f * F(0.434294481903251828f);
  return log_edges(x, low + e * F(0x1.344p-2f));
}

// tanh = m / (m + 2) with m = e^(2|x|) - 1, which needs no special case near zero.
template <typename F>
MF_FN constexpr F tanh(F x) {
  F y = magnitude(x) * F(2.0f);
  y = y > F(20.0f) ? F(20.0f) : y;
  i_of<F> n = {};
  F p = expm1_reduced(y, n);
  F s = power_of_two<F>(n);
  F m = s * p + (s - F(1.0f));
  return with_sign(m / (m + F(2.0f)), x);
}
template <typename F>
MF_FN constexpr F sinh(F x) {
  F y = magnitude(x);
  y = y > F(89.5f) ? F(89.5f) : y;
  i_of<F> n = {};
  F p = expm1_reduced(y, n);
  F s = power_of_two<F>(n - i_of<F>(2));                    // a quarter of 2^n: cannot overflow
  F h = F(2.0f) * (s * p + (s - F(0.25f)));                 // (e^y - 1) / 2
  F q = h > F(1e9f) ? F(0.5f) : h / (F(2.0f) * h + F(1.0f));
  return with_sign(h + q, x);
}
template <typename F>
MF_FN constexpr F cosh(F x) {
  F y = magnitude(x);
  y = y > F(89.5f) ? F(89.5f) : y;
  i_of<F> n = {};
  F p = expm1_reduced(y, n);
  F h = F(2.0f) * (power_of_two<F>(n - i_of<F>(2)) * (F(1.0f) + p));  // e^y / 2
  return h + F(0.25f) / h;
}

// log2 and 2^x in double to about 1e-12, for functions that need guard digits.
template <typename D>
MF_FN constexpr D log2_d(D x) {
  using L = l_of<D>;
  L b = __builtin_bit_cast(L, x) - L(0x3fe6a09e667f3bcdL);
  D m = __builtin_bit_cast(D, (b & L(0x000fffffffffffffL)) + L(0x3fe6a09e667f3bcdL));
  D s = (m - D(1)) / (m + D(1));
  D z = s * s;
  D p = poly_d(z, 2.885390081777926814720L, 0.961796693925975604907L, 0.577078016355585362944L,
               0.412198583111132402103L, 0.320598897975325201636L, 0.262308189252538801338L,
               0.221953083213686678056L, 0.192359338785195121L);
  D e = __builtin_bit_cast(D, (b >> L(52)) + __builtin_bit_cast(L, D(round_magic_d))) -
        D(round_magic_d);
  return s * p + e;
}
template <typename D>
MF_FN constexpr D exp2_d(D x) {
  using L = l_of<D>;
  D t = x + D(round_magic_d);
  D r = x - (t - D(round_magic_d));
  D p = poly_d(r, 1.0L, 0.693147180559945309417L, 0.240226506959100712333L,
               0.0555041086648215799531L, 0.00961812910762847716198L, 0.00133335581464284434234L,
               0.000154035303933816099544L, 1.52527338040598402801e-5L, 1.32154867901443094884e-6L,
               1.01780860092396997276e-7L, 7.05491162080112332988e-9L);
  L n = __builtin_bit_cast(L, t) - __builtin_bit_cast(L, D(round_magic_d));
  return p * __builtin_bit_cast(D, (n + L(1023)) << L(52));
}

}  // namespace mf

#pragma float_control(pop)

#if MF_GPU
#include "target_gpu_math.h"
#endif
