// MSL 6.14, <metal_pack>: vectors to and from packed integers.
#pragma once
#pragma clang system_header

#include "metal_matrix.h"

namespace mf {

// A component in [0, 1] or [-1, 1] as an integer of `bits` bits, rounded to nearest even.
template <int bits, bool is_signed>
MF_FN constexpr uint normalized(float v) {
  constexpr float top = float((1u << (is_signed ? bits - 1 : bits)) - 1u);
  float w = v == v ? v : 0.0f;
  w = w < (is_signed ? -1.0f : 0.0f) ? (is_signed ? -1.0f : 0.0f) : w;
  w = w > 1.0f ? 1.0f : w;
  return uint(int(rint(w * top))) & ((1u << bits) - 1u);
}
template <int bits, bool is_signed>
MF_FN constexpr float denormalized(uint field) {
  if constexpr (is_signed) {
    int v = int(field << (32 - bits)) >> (32 - bits);
    float r = float(v) / float((1u << (bits - 1)) - 1u);
    return r < -1.0f ? -1.0f : r;
  } else {
    return float(field & ((1u << bits) - 1u)) / float((1u << bits) - 1u);
  }
}
MF_FN constexpr float to_linear(float v) {
  return v <= 0.04045f ? v / 12.92f : powr((v + 0.055f) / 1.055f, 2.4f);
}
MF_FN constexpr float to_srgb(float v) {
  v = v > 0.0f ? (v < 1.0f ? v : 1.0f) : 0.0f;
  return v < 0.0031308f ? v * 12.92f : 1.055f * powr(v, 1.0f / 2.4f) - 0.055f;
}

}  // namespace mf

namespace metal {

#define MF_PACK(T, name, N, U, bits, sign)                                             \
  MF_FN constexpr U pack_##T##_to_##name(vec<T, N> v) {                                \
    uint r = 0;                                                                        \
    for (int i = 0; i < N; ++i) r |= mf::normalized<bits, sign>(float(mf::at(v, i))) << (i * bits); \
    return U(r);                                                                       \
  }
#define MF_UNPACK(T, name, N, U, bits, sign)                                           \
  MF_FN constexpr vec<T, N> unpack_##name##_to_##T(U p) {                              \
    vec<T, N> v = vec<T, N>(T(0));                                                     \
    for (int i = 0; i < N; ++i) {                                                      \
      v.d[i] = mf::to_lane<T>(T(mf::denormalized<bits, sign>(uint(p) >> (i * bits)))); \
    }                                                                                  \
    return v;                                                                          \
  }
#define MF_PACKING(...)       \
  MF_PACK(float, __VA_ARGS__) \
  MF_PACK(half, __VA_ARGS__)  \
  MF_UNPACK(float, __VA_ARGS__) \
  MF_UNPACK(half, __VA_ARGS__)
MF_PACKING(unorm4x8, 4, uint, 8, false)
MF_PACKING(snorm4x8, 4, uint, 8, true)
MF_PACKING(unorm2x16, 2, uint, 16, false)
MF_PACKING(snorm2x16, 2, uint, 16, true)
#undef MF_PACKING
#undef MF_PACK
#undef MF_UNPACK

// sRGB: three coded components and a linear alpha.
#define MF_SRGB(T)                                                                          \
  MF_FN constexpr uint pack_##T##_to_srgb_unorm4x8(vec<T, 4> v) {                           \
    float4 w(mf::to_srgb(v.x), mf::to_srgb(v.y), mf::to_srgb(v.z), v.w);                    \
    return pack_float_to_unorm4x8(w);                                                       \
  }                                                                                         \
  MF_FN constexpr vec<T, 4> unpack_unorm4x8_srgb_to_##T(uint p) {                           \
    float4 w = unpack_unorm4x8_to_float(p);                                                 \
    return vec<T, 4>(float4(mf::to_linear(w.x), mf::to_linear(w.y), mf::to_linear(w.z), w.w)); \
  }                                                                                         \
  MF_FN constexpr uint pack_##T##_to_unorm10a2(vec<T, 4> v) {                               \
    return mf::normalized<10, false>(float(v.x)) | mf::normalized<10, false>(float(v.y)) << 10 | \
           mf::normalized<10, false>(float(v.z)) << 20 | mf::normalized<2, false>(float(v.w)) << 30; \
  }                                                                                         \
  MF_FN constexpr vec<T, 4> unpack_unorm10a2_to_##T(uint p) {                               \
    return vec<T, 4>(float4(mf::denormalized<10, false>(p), mf::denormalized<10, false>(p >> 10), \
                            mf::denormalized<10, false>(p >> 20), mf::denormalized<2, false>(p >> 30))); \
  }                                                                                         \
  MF_FN constexpr ushort pack_##T##_to_unorm565(vec<T, 3> v) {                              \
    return ushort(mf::normalized<5, false>(float(v.x)) | mf::normalized<6, false>(float(v.y)) << 5 | \
                  mf::normalized<5, false>(float(v.z)) << 11);                              \
  }                                                                                         \
  MF_FN constexpr vec<T, 3> unpack_unorm565_to_##T(ushort p) {                              \
    return vec<T, 3>(float3(mf::denormalized<5, false>(p), mf::denormalized<6, false>(p >> 5), \
                            mf::denormalized<5, false>(p >> 11)));                          \
  }
MF_SRGB(float)
MF_SRGB(half)
#undef MF_SRGB

}  // namespace metal
