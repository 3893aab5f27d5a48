// MSL 8.4, table of the fast math mode: functions that Metal's specification defines there by a
// formula, computed by that formula, so that they overflow and cancel where Apple's do.
#pragma once
#pragma clang system_header

#include "metal_math_basic.h"
#include "metal_math_trig.h"

#pragma float_control(precise, on, push)

namespace mf {

template <typename F>
MF_FN constexpr F tanh_fast(F x) {
  F t = exp(F(2.0f) * x);
  return (t - F(1.0f)) / (t + F(1.0f));  // NaN where t is infinite
}
template <typename F>
MF_FN constexpr F sinh_fast(F x) {
  return F(0.5f) * (exp(x) - exp(-x));
}
template <typename F>
MF_FN constexpr F cosh_fast(F x) {
  return F(0.5f) * (exp(x) + exp(-x));
}
template <typename F>
MF_FN F asinh_fast(F x) {
  return log(x + __builtin_elementwise_sqrt(x * x + F(1.0f)));
}
template <typename F>
MF_FN F acosh_fast(F x) {
  return log(x + __builtin_elementwise_sqrt(x * x - F(1.0f)));
}
template <typename F>
MF_FN constexpr F atanh_fast(F x) {
  return F(0.5f) * (log(F(1.0f) + x) - log(F(1.0f) - x));
}
template <typename F>
MF_FN constexpr F exp10_fast(F x) {
  return exp2(x * F(3.32192809488736235f));
}
template <typename F>
MF_FN constexpr F log10_fast(F x) {
  return log2(x) * F(0.301029995663981195f);
}
template <typename F>
MF_FN constexpr F pow_fast(F x, F y) {
  return exp2(y * log2(x));  // NaN for a negative x, whatever y is
}
// Undefined where x or y is 0: NaN, so that a kernel that needs a value there is found out.
template <typename F>
MF_FN constexpr F atan2_fast(F y, F x) {
  F turn = x > F(0.0f) ? F(0.0f) : with_sign(F(3.14159265358979324f), y);
  F angle = atan(y / x) + turn;
  return (x == F(0.0f)) | (y == F(0.0f)) ? F(NAN) : angle;
}

// "For x in the domain [-pi, pi] the error is at most 2^-13, and larger otherwise": turns are taken
// off with a product of floats, which loses a bit for every doubling of x.
template <typename F>
MF_FN constexpr F reduce_turn(F x) {
  F turns = rint(x * F(0.159154943091895336f));
  return turns == F(0.0f) ? x : x - turns * F(6.28318530717958648f);
}
template <typename F>
MF_FN constexpr F sincos_fast(F x, F& c) {
  return sincos_near(reduce_turn(x), c);
}
template <typename F>
MF_FN constexpr F sin_fast(F x) {
  return sin_near(reduce_turn(x));
}
template <typename F>
MF_FN constexpr F cos_fast(F x) {
  return cos_near(reduce_turn(x));
}
template <typename F>
MF_FN constexpr F tan_fast(F x) {
  F c = {};
  F s = sincos_fast(x, c);
  return s * (F(1.0f) / c);
}

}  // namespace mf

#pragma float_control(pop)
