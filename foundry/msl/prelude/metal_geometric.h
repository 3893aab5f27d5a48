// MSL 6.8, <metal_geometric>: products, lengths and directions of vectors.
#pragma once
#pragma clang system_header

#include "metal_packed.h"
#include "metal_relational.h"

namespace metal {

// Accumulated in float for half and bfloat.
template <typename T, int N>
  requires mf::is_float_like<T>
MF_FN constexpr T dot(vec<T, N> a, vec<T, N> b) {
  using W = conditional_t<mf::is_float_like<T>, float, T>;
  W total = W(mf::at(a, 0)) * W(mf::at(b, 0));
  for (int i = 1; i < N; ++i) total += W(mf::at(a, i)) * W(mf::at(b, i));
  return T(total);
}
template <typename T>
  requires mf::is_float_like<T>
MF_FN constexpr vec<T, 3> cross(vec<T, 3> a, vec<T, 3> b) {
  return a.yzx * b.zxy - a.zxy * b.yzx;
}
template <typename T, int N>
  requires mf::is_float_like<T>
MF_FN T length_squared(vec<T, N> a) {
  return dot(a, a);
}
template <typename T, int N>
  requires mf::is_float_like<T>
MF_FN T length(vec<T, N> a) {
  vec<float, N> w(a);
  return T(sqrt(dot(w, w)));
}
template <typename T, int N>
  requires mf::is_float_like<T>
MF_FN T distance_squared(vec<T, N> a, vec<T, N> b) {
  return dot(a - b, a - b);
}
template <typename T, int N>
  requires mf::is_float_like<T>
MF_FN T distance(vec<T, N> a, vec<T, N> b) {
  return length(a - b);
}
template <typename T, int N>
  requires mf::is_float_like<T>
MF_FN vec<T, N> normalize(vec<T, N> a) {
  vec<float, N> w(a);
  return vec<T, N>(w * vec<float, N>(rsqrt(dot(w, w))));
}
// n where it faces against the incident ray, else -n.
template <typename T, int N>
MF_FN constexpr vec<T, N> faceforward(vec<T, N> n, vec<T, N> incident, vec<T, N> reference) {
  return dot(reference, incident) < T(0) ? n : -n;
}
template <typename T, int N>
MF_FN constexpr vec<T, N> reflect(vec<T, N> incident, vec<T, N> n) {
  return incident - n * vec<T, N>(T(2) * dot(n, incident));
}
// The refracted direction for a ratio of indices eta; zero past the critical angle.
template <typename T, int N>
MF_FN vec<T, N> refract(vec<T, N> incident, vec<T, N> n, mf::scalar_t<T> eta) {
  float cosine = dot(n, incident), ratio = eta;
  float k = 1.0f - ratio * ratio * (1.0f - cosine * cosine);
  if (k < 0.0f) return vec<T, N>(T(0));
  return incident * vec<T, N>(eta) - n * vec<T, N>(T(ratio * cosine + sqrt(k)));
}

#define MF_FAST(name)                                              \
  template <typename... A>                                         \
  MF_FN auto fast_##name(A... a) -> decltype(metal::name(a...)) {  \
    return metal::name(a...);                                      \
  }
MF_FAST(length)
MF_FAST(distance)
MF_FAST(normalize)
#undef MF_FAST

}  // namespace metal
