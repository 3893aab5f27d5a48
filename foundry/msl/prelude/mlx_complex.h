// complex_t<T> of MLX's preamble: {real, imag}, arithmetic, ordering, conversion from numbers.
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
};

using complex32_t = complex_t<half>;
using complex64_t = complex_t<float>;
static_assert(sizeof(complex64_t) == 8 && sizeof(complex32_t) == 4);

template <typename T>
constexpr complex_t<T> operator-(complex_t<T> x) {
  return {T(-x.real), T(-x.imag)};
}

// Ordered by the real part, then the imaginary one.
template <typename T>
constexpr bool operator>(complex_t<T> a, complex_t<T> b) {
  return a.real > b.real || (a.real == b.real && a.imag > b.imag);
}
template <typename T>
constexpr bool operator>=(complex_t<T> a, complex_t<T> b) {
  return a.real > b.real || (a.real == b.real && a.imag >= b.imag);
}
template <typename T>
constexpr bool operator<(complex_t<T> a, complex_t<T> b) {
  return b > a;
}
template <typename T>
constexpr bool operator<=(complex_t<T> a, complex_t<T> b) {
  return b >= a;
}
template <typename T>
constexpr bool operator==(complex_t<T> a, complex_t<T> b) {
  return a.real == b.real && a.imag == b.imag;
}

template <typename T>
constexpr complex_t<T> operator+(complex_t<T> a, complex_t<T> b) {
  return {T(a.real + b.real), T(a.imag + b.imag)};
}
template <typename T>
constexpr complex_t<T> operator-(complex_t<T> a, complex_t<T> b) {
  return {T(a.real - b.real), T(a.imag - b.imag)};
}
template <typename T>
constexpr complex_t<T> operator*(complex_t<T> a, complex_t<T> b) {
  return {T(a.real * b.real - a.imag * b.imag), T(a.real * b.imag + a.imag * b.real)};
}
// Divided through by the larger part of b, so that |b|^2 cannot overflow.
template <typename T>
constexpr complex_t<T> operator/(complex_t<T> a, complex_t<T> b) {
  float ar = a.real, ai = a.imag, br = b.real, bi = b.imag;
  if (metal::abs(br) >= metal::abs(bi)) {
    float q = bi / br, d = br + bi * q;
    return {static_cast<T>((ar + ai * q) / d), static_cast<T>((ai - ar * q) / d)};
  }
  float q = br / bi, d = bi + br * q;
  return {static_cast<T>((ar * q + ai) / d), static_cast<T>((ai * q - ar) / d)};
}
// Each part apart, with the sign of the divisor.
template <typename T>
constexpr complex_t<T> operator%(complex_t<T> a, complex_t<T> b) {
  auto part = [](T x, T y) {
    T r = static_cast<T>(x - y * static_cast<int64_t>(x / y));
    return r != 0 && (r < 0) != (y < 0) ? static_cast<T>(r + y) : r;
  };
  return {part(a.real, b.real), part(a.imag, b.imag)};
}

#define MF_COMPLEX_WITH_REAL(op)                                  \
  template <typename T, mf::real_for<T> U>                        \
  constexpr complex_t<T> operator op(U a, complex_t<T> b) {       \
    return complex_t<T>(static_cast<T>(a)) op b;                  \
  }                                                               \
  template <typename T, mf::real_for<T> U>                        \
  constexpr complex_t<T> operator op(complex_t<T> a, U b) {       \
    return a op complex_t<T>(static_cast<T>(b));                  \
  }
MF_COMPLEX_WITH_REAL(+)
MF_COMPLEX_WITH_REAL(-)
MF_COMPLEX_WITH_REAL(*)
MF_COMPLEX_WITH_REAL(/)
#undef MF_COMPLEX_WITH_REAL

#define MF_COMPLEX_ASSIGN(op)                                            \
  template <typename T>                                                  \
  constexpr complex_t<T>& operator op##=(complex_t<T>& a, complex_t<T> b) { \
    return a = a op b;                                                   \
  }
MF_COMPLEX_ASSIGN(+)
MF_COMPLEX_ASSIGN(-)
MF_COMPLEX_ASSIGN(*)
MF_COMPLEX_ASSIGN(/)
#undef MF_COMPLEX_ASSIGN
