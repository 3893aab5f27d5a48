// MSL 2.2.3, packed vector types:
// packed_float3 and the like: N elements side by side, aligned as one element.
#pragma once
#pragma clang system_header

#include "metal_vector.h"

namespace metal {

template <typename T, int N>
struct packed_vec;

#define MF_PACKED(N, ...)                                                                     \
  template <typename T>                                                                       \
  struct packed_vec<T, N> {                                                                   \
    using mf_vec2 = vec<T, 2>;                                                                \
    using mf_vec3 = vec<T, 3>;                                                                \
    using mf_vec4 = vec<T, 4>;                                                                \
    T e[N];                                                                                   \
    packed_vec() = default;                                                                   \
    MF_FN explicit constexpr packed_vec(T s) {                                                    \
      for (int i = 0; i < N; ++i) e[i] = s;                                                   \
    }                                                                                         \
    MF_FN constexpr packed_vec(vec<T, N> v) {                                                 \
      for (int i = 0; i < N; ++i) e[i] = mf::at(v, i);                                                \
    }                                                                                         \
    template <typename U>                                                                     \
      requires(!__is_same(U, T))                                                              \
    MF_FN explicit constexpr packed_vec(vec<U, N> v) : packed_vec(vec<T, N>(v)) {}            \
    template <typename A, typename B, typename... R>                                          \
    MF_FN constexpr packed_vec(A a, B b, R... rest) : packed_vec(vec<T, N>(a, b, rest...)) {} \
    MF_FN constexpr operator vec<T, N>() const {                                              \
      vec<T, N> v(T(0));                                                                        \
      for (int i = 0; i < N; ++i) v.d[i] = mf::to_lane<T>(e[i]);                              \
      return v;                                                                               \
    }                                                                                         \
    template <typename U>                                                                     \
      requires(!__is_same(U, T))                                                              \
    MF_FN explicit constexpr operator vec<U, N>() const {                                     \
      return vec<U, N>(vec<T, N>(*this));                                                     \
    }                                                                                         \
    MF_FN constexpr T operator[](int i) const { return e[mf::component<N>(i)]; }              \
    MF_FN constexpr T& operator[](int i) { return e[mf::component<N>(i)]; }                   \
    MF_NO_REAL_INDEX                                                                          \
    template <int I>                                                                          \
    MF_FN constexpr T lane() const {                                                          \
      return e[I];                                                                            \
    }                                                                                         \
    template <int I>                                                                          \
    MF_FN void set_lane(T v) {                                                      \
      e[I] = v;                                                                               \
    }                                                                                         \
    template <int... I>                                                                       \
    MF_FN constexpr vec<T, sizeof...(I)> take() const {                                       \
      return vec<T, sizeof...(I)>(e[I]...);                                                   \
    }                                                                                         \
    template <int... I>                                                                       \
    MF_FN void give(vec<T, sizeof...(I)> v) {                                       \
      static_assert(mf::distinct<I...>, "a component may be assigned once in a swizzle");     \
      int k = 0;                                                                              \
      ((e[I] = mf::at(v, k++)), ...);                                                                 \
    }                                                                                         \
    MF_SWIZZLES_##N                                                                           \
    MF_PACKED_OP(N, +)                                                                        \
    MF_PACKED_OP(N, -)                                                                        \
    MF_PACKED_OP(N, *)                                                                        \
    MF_PACKED_OP(N, /)                                                                        \
    MF_PACKED_OP(N, %, requires(__is_integral(T)))                                                                        \
    MF_PACKED_OP(N, &, requires(__is_integral(T)))                                                                        \
    MF_PACKED_OP(N, |, requires(__is_integral(T)))                                                                        \
    MF_PACKED_OP(N, ^, requires(__is_integral(T)))                                                                        \
    MF_PACKED_OP(N, <<, requires(__is_integral(T)))                                                                       \
    MF_PACKED_OP(N, >>, requires(__is_integral(T)))                                                                       \
    MF_PACKED_COMPARE(N, ==)                                                                  \
    MF_PACKED_COMPARE(N, !=)                                                                  \
    MF_PACKED_COMPARE(N, <)                                                                   \
    MF_PACKED_COMPARE(N, <=)                                                                  \
    MF_PACKED_COMPARE(N, >)                                                                   \
    MF_PACKED_COMPARE(N, >=)                                                                  \
    friend MF_FN constexpr vec<T, N> operator-(packed_vec a) { return -vec<T, N>(a); }        \
  };
#define MF_PACKED_OP(N, op, ...)                                                              \
  friend MF_FN constexpr vec<T, N> operator op(packed_vec a, packed_vec b) __VA_ARGS__ {      \
    return vec<T, N>(a) op vec<T, N>(b);                                                      \
  }                                                                                           \
  friend MF_FN constexpr vec<T, N> operator op(packed_vec a, vec<T, N> b) __VA_ARGS__ {       \
    return vec<T, N>(a) op b;                                                                 \
  }                                                                                           \
  friend MF_FN constexpr vec<T, N> operator op(vec<T, N> a, packed_vec b) __VA_ARGS__ {       \
    return a op vec<T, N>(b);                                                                 \
  }                                                                                           \
  friend MF_FN constexpr packed_vec& operator op##=(packed_vec& a, vec<T, N> b) __VA_ARGS__ { \
    return a = packed_vec(vec<T, N>(a) op b);                                                 \
  }
#define MF_PACKED_COMPARE(N, op)                                                              \
  friend MF_FN constexpr vec<bool, N> operator op(packed_vec a, packed_vec b) {               \
    return vec<T, N>(a) op vec<T, N>(b);                                                      \
  }                                                                                           \
  friend MF_FN constexpr vec<bool, N> operator op(packed_vec a, vec<T, N> b) {                \
    return vec<T, N>(a) op b;                                                                 \
  }                                                                                           \
  friend MF_FN constexpr vec<bool, N> operator op(vec<T, N> a, packed_vec b) {                \
    return a op vec<T, N>(b);                                                                 \
  }
MF_PACKED(2)
MF_PACKED(3)
MF_PACKED(4)
#undef MF_PACKED
#undef MF_PACKED_OP
#undef MF_PACKED_COMPARE

#define MF_PACKED_NAMES(T)             \
  using packed_##T##2 = packed_vec<T, 2>; \
  using packed_##T##3 = packed_vec<T, 3>; \
  using packed_##T##4 = packed_vec<T, 4>;
MF_EACH_ELEMENT(MF_PACKED_NAMES)
#undef MF_PACKED_NAMES

}  // namespace metal
