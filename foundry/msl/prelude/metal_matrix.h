// MSL 2.3 and 6.6, <metal_matrix>: matrices of float, half and bfloat, stored by columns.
#pragma once
#pragma clang system_header

#include "metal_geometric.h"

namespace metal {

// C columns of R components.
template <typename T, int C, int R>
struct matrix {
  static_assert(mf::is_float_like<T>, "Metal has matrices of float and half");
  static_assert(C >= 2 && C <= 4 && R >= 2 && R <= 4, "Metal has matrices of 2 to 4 columns and rows");
  vec<T, R> columns[C];

  matrix() = default;
  // A scalar fills the diagonal.
  MF_FN explicit constexpr matrix(T s) {
    for (int c = 0; c < C; ++c) {
      columns[c] = vec<T, R>(T(0));
      if (c < R) columns[c].d[c] = mf::to_lane<T>(s);
    }
  }
  template <typename... V>
    requires(sizeof...(V) == C && (__is_convertible(V, vec<T, R>) && ...) &&
             !(mf::arithmetic<V> && ...))
  MF_FN constexpr matrix(V... v) : columns{v...} {}
  // Columns in braces, which a template does not take: float2x2({1, 2}, {3, 4}).
  MF_FN constexpr matrix(vec<T, R> a, vec<T, R> b)
    requires(C == 2)
      : columns{a, b} {}
  MF_FN constexpr matrix(vec<T, R> a, vec<T, R> b, vec<T, R> c)
    requires(C == 3)
      : columns{a, b, c} {}
  MF_FN constexpr matrix(vec<T, R> a, vec<T, R> b, vec<T, R> c, vec<T, R> d)
    requires(C == 4)
      : columns{a, b, c, d} {}
  template <typename... S>
    requires(sizeof...(S) == C && (mf::arithmetic<S> && ...))
  matrix(S... s) = delete;
  template <typename... S>
    requires(sizeof...(S) == C * R && (mf::arithmetic<S> && ...))
  MF_FN constexpr matrix(S... s) : matrix(T(0)) {
    const T all[] = {static_cast<T>(s)...};
    for (int c = 0; c < C; ++c) {
      for (int r = 0; r < R; ++r) columns[c].d[r] = mf::to_lane<T>(all[c * R + r]);
    }
  }
  template <typename U>
    requires(!__is_same(U, T))
  MF_FN explicit constexpr matrix(const matrix<U, C, R>& m) {
    for (int c = 0; c < C; ++c) columns[c] = vec<T, R>(m.columns[c]);
  }

  MF_FN constexpr vec<T, R>& operator[](int c) { return columns[mf::component<C>(c)]; }
  MF_FN constexpr const vec<T, R>& operator[](int c) const { return columns[mf::component<C>(c)]; }
  MF_NO_REAL_INDEX

  friend MF_FN constexpr matrix operator+(matrix a, const matrix& b) { return a += b; }
  friend MF_FN constexpr matrix operator-(matrix a, const matrix& b) { return a -= b; }
  friend MF_FN constexpr matrix operator*(matrix a, T s) { return a *= s; }
  friend MF_FN constexpr matrix operator*(T s, matrix a) { return a *= s; }
  friend MF_FN constexpr matrix operator-(matrix a) {
    for (int c = 0; c < C; ++c) a.columns[c] = -a.columns[c];
    return a;
  }
  friend MF_FN constexpr matrix& operator+=(matrix& a, const matrix& b) {
    for (int c = 0; c < C; ++c) a.columns[c] += b.columns[c];
    return a;
  }
  friend MF_FN constexpr matrix& operator-=(matrix& a, const matrix& b) {
    for (int c = 0; c < C; ++c) a.columns[c] -= b.columns[c];
    return a;
  }
  friend MF_FN constexpr matrix& operator*=(matrix& a, T s) {
    for (int c = 0; c < C; ++c) a.columns[c] *= vec<T, R>(s);
    return a;
  }
  friend MF_FN constexpr bool operator==(const matrix& a, const matrix& b) {
    bool same = true;
    for (int c = 0; c < C; ++c) same = same && all(a.columns[c] == b.columns[c]);
    return same;
  }
  friend MF_FN constexpr bool operator!=(const matrix& a, const matrix& b) { return !(a == b); }
  // matrix * column vector, row vector * matrix
  friend MF_FN constexpr vec<T, R> operator*(const matrix& m, vec<T, C> v) {
    vec<T, R> r = m.columns[0] * vec<T, R>(mf::at(v, 0));
    for (int c = 1; c < C; ++c) r += m.columns[c] * vec<T, R>(mf::at(v, c));
    return r;
  }
  friend MF_FN constexpr vec<T, C> operator*(vec<T, R> v, const matrix& m) {
    vec<T, C> r = vec<T, C>(T(0));
    for (int c = 0; c < C; ++c) r.d[c] = mf::to_lane<T>(dot(v, m.columns[c]));
    return r;
  }
  template <int K>
  friend MF_FN constexpr matrix<T, K, R> operator*(const matrix& a, const matrix<T, K, C>& b) {
    matrix<T, K, R> r(T(0));
    for (int k = 0; k < K; ++k) r.columns[k] = a * b.columns[k];
    return r;
  }
  friend MF_FN constexpr matrix& operator*=(matrix& a, const matrix<T, C, C>& b) {
    return a = a * b;
  }
};

template <typename T, int C, int R>
MF_FN constexpr matrix<T, R, C> transpose(const matrix<T, C, R>& m) {
  matrix<T, R, C> r(T(0));
  for (int c = 0; c < C; ++c) {
    for (int k = 0; k < R; ++k) r.columns[k].d[c] = m.columns[c].d[k];
  }
  return r;
}
template <typename T>
MF_FN constexpr T determinant(const matrix<T, 2, 2>& m) {
  return m[0][0] * m[1][1] - m[1][0] * m[0][1];
}
template <typename T>
MF_FN constexpr T determinant(const matrix<T, 3, 3>& m) {
  return dot(m[0], cross(m[1], m[2]));
}
template <typename T>
MF_FN constexpr T determinant(const matrix<T, 4, 4>& m) {
  // Along the first column; each minor is a 3x3 determinant of the other columns.
  T total = T(0);
  for (int r = 0; r < 4; ++r) {
    matrix<T, 3, 3> minor(T(0));
    for (int c = 1; c < 4; ++c) {
      for (int k = 0, to = 0; k < 4; ++k) {
        if (k != r) minor.columns[c - 1].d[to++] = m.columns[c].d[k];
      }
    }
    T term = mf::at(m[0], r) * determinant(minor);
    total = r % 2 ? total - term : total + term;
  }
  return total;
}

#define MF_MATRIX_NAMES(T)                                                             \
  using T##2x2 = matrix<T, 2, 2>;                                                      \
  using T##2x3 = matrix<T, 2, 3>;                                                      \
  using T##2x4 = matrix<T, 2, 4>;                                                      \
  using T##3x2 = matrix<T, 3, 2>;                                                      \
  using T##3x3 = matrix<T, 3, 3>;                                                      \
  using T##3x4 = matrix<T, 3, 4>;                                                      \
  using T##4x2 = matrix<T, 4, 2>;                                                      \
  using T##4x3 = matrix<T, 4, 3>;                                                      \
  using T##4x4 = matrix<T, 4, 4>;
MF_MATRIX_NAMES(float)
MF_MATRIX_NAMES(half)
MF_MATRIX_NAMES(bfloat)
#undef MF_MATRIX_NAMES

}  // namespace metal
