// complex_t<T> of MLX's preamble: {real, imag}, arithmetic, ordering, conversion from numbers.
// All operators are friends: operators at namespace scope make clang reject swizzle arithmetic
// in templates (a property is no operand of an overload set found before instantiation).
#pragma once
#pragma clang system_header

#include "metal_relational.h"

using bfloat16_t = bfloat;
using float16_t = half;

template <typename T>
struct complex_t;

template <typename T>
inline constexpr bool is_complex_v = false;
template <typename T>
inline constexpr bool is_complex_v<complex_t<T>> = true;
template <typename From, typename To>
inline constexpr bool is_lane_convertible_v = metal::is_convertible_v<From, To>;

namespace mf {
template <typename U, typename T>
concept real_for = !is_complex_v<U> && is_lane_convertible_v<U, T>;
}

template <typename T>
struct complex_t {
  using value_type = T;
  T real;
  T imag;

  constexpr complex_t() : real(0), imag(0) {}
  constexpr complex_t(T re, T im) : real(re), imag(im) {}
  template <mf::real_for<T> U>
  constexpr complex_t(U x) : real(static_cast<T>(x)), imag(static_cast<T>(0)) {}
  template <typename U>
    requires(!metal::is_same_v<U, T> && is_lane_convertible_v<U, T>)
  constexpr complex_t(complex_t<U> x) : real(static_cast<T>(x.real)), imag(static_cast<T>(x.imag)) {}
  constexpr complex_t(metal::vec<T, 2> v) : real(v.x), imag(v.y) {}

  constexpr operator metal::vec<T, 2>() const { return metal::vec<T, 2>(real, imag); }
  template <typename U>
    requires(!is_complex_v<U> && is_lane_convertible_v<T, U>)
  constexpr operator U() const {
    return static_cast<U>(real);
  }

  friend constexpr complex_t operator-(complex_t x) { return {T(-x.real), T(-x.imag)}; }

  // Ordered by the real part, then the imaginary one.
  friend constexpr bool operator>(complex_t a, complex_t b) {
    return a.real > b.real || (a.real == b.real && a.imag > b.imag);
  }
  friend constexpr bool operator>=(complex_t a, complex_t b) {
    return a.real > b.real || (a.real == b.real && a.imag >= b.imag);
  }
  friend constexpr bool operator<(complex_t a, complex_t b) { return b > a; }
  friend constexpr bool operator<=(complex_t a, complex_t b) { return b >= a; }
  friend constexpr bool operator==(complex_t a, complex_t b) {
    return a.real == b.real && a.imag == b.imag;
  }
  friend constexpr bool operator!=(complex_t a, complex_t b) { return !(a == b); }

  friend constexpr complex_t operator+(complex_t a, complex_t b) {
    return {T(a.real + b.real), T(a.imag + b.imag)};
  }
  friend constexpr complex_t operator-(complex_t a, complex_t b) {
    return {T(a.real - b.real), T(a.imag - b.imag)};
  }
  friend constexpr complex_t operator*(complex_t a, complex_t b) {
    return {T(a.real * b.real - a.imag * b.imag), T(a.real * b.imag + a.imag * b.real)};
  }
  // Divided through by the larger part of b, so that |b|^2 cannot overflow.
  friend constexpr complex_t operator/(complex_t a, complex_t b) {
    float ar = a.real, ai = a.imag, br = b.real, bi = b.imag;
    if (metal::abs(br) >= metal::abs(bi)) {
      float q = bi / br, d = br + bi * q;
      return {static_cast<T>((ar + ai * q) / d), static_cast<T>((ai - ar * q) / d)};
    }
    float q = br / bi, d = bi + br * q;
    return {static_cast<T>((ar * q + ai) / d), static_cast<T>((ai * q - ar) / d)};
  }
  // Each part apart, with the sign of the divisor.
  friend constexpr complex_t operator%(complex_t a, complex_t b) {
    return {floored_rest(a.real, b.real), floored_rest(a.imag, b.imag)};
  }

#define MF_COMPLEX_WITH_REAL(op)                                        \
  template <mf::real_for<T> U>                                          \
  friend constexpr complex_t operator op(U a, complex_t b) {            \
    return complex_t(static_cast<T>(a)) op b;                           \
  }                                                                     \
  template <mf::real_for<T> U>                                          \
  friend constexpr complex_t operator op(complex_t a, U b) {            \
    return a op complex_t(static_cast<T>(b));                           \
  }                                                                     \
  friend constexpr complex_t& operator op##=(complex_t& a, complex_t b) { \
    return a = a op b;                                                  \
  }
  MF_COMPLEX_WITH_REAL(+)
  MF_COMPLEX_WITH_REAL(-)
  MF_COMPLEX_WITH_REAL(*)
  MF_COMPLEX_WITH_REAL(/)
#undef MF_COMPLEX_WITH_REAL

 private:
  static constexpr T floored_rest(T x, T y) {
    T r = static_cast<T>(x - y * static_cast<int64_t>(x / y));
    return r != 0 && (r < 0) != (y < 0) ? static_cast<T>(r + y) : r;
  }
};

using complex32_t = complex_t<half>;
using complex64_t = complex_t<float>;
static_assert(sizeof(complex64_t) == 8 && sizeof(complex32_t) == 4);
