// MSL 2.13, <metal_array>: a fixed-size array by value.
#pragma once
#pragma clang system_header

#include "metal_scalar.h"
#include "metal_traits.h"
#include "sanitizer/hooks.h"

namespace metal {

template <typename T, size_t N>
struct array {
  using value_type = T;
  T mf_items[N];

  // clang lets a reference to one element beyond be made.
  __attribute__((nodebug, always_inline)) static constexpr size_t mf_element(size_t i) {
#if MF_SANITIZE
    // An index of 64 bits may have 32 low bits that are right.
    const size_t told = i >> 32 && unsigned(i) < N ? INT_MAX : i;
    if (i >= N) return static_cast<size_t>(mf::component<unsigned(N)>(static_cast<int>(told)));
#endif
    return i;
  }
  MF_FN constexpr T& operator[](size_t i) { return mf_items[mf_element(i)]; }
  MF_FN constexpr const T& operator[](size_t i) const { return mf_items[mf_element(i)]; }
  MF_FN constexpr T& at(size_t i) { return mf_items[mf_element(i)]; }
  MF_FN constexpr const T& at(size_t i) const { return mf_items[mf_element(i)]; }
  MF_FN constexpr T& front() { return mf_items[0]; }
  MF_FN constexpr const T& front() const { return mf_items[0]; }
  MF_FN constexpr T& back() { return mf_items[N - 1]; }
  MF_FN constexpr const T& back() const { return mf_items[N - 1]; }
  MF_FN constexpr T* data() { return mf_items; }
  MF_FN constexpr const T* data() const { return mf_items; }
  MF_FN constexpr T* begin() { return mf_items; }
  MF_FN constexpr const T* begin() const { return mf_items; }
  MF_FN constexpr T* end() { return mf_items + N; }
  MF_FN constexpr const T* end() const { return mf_items + N; }
  MF_FN constexpr size_t size() const { return N; }
  MF_FN constexpr bool empty() const { return N == 0; }
  MF_FN constexpr void fill(const T& v) {
    for (size_t i = 0; i < N; ++i) mf_items[i] = v;
  }
};
template <typename T, typename... R>
array(T, R...) -> array<T, 1 + sizeof...(R)>;

}  // namespace metal
