// The GPU target: a kernel as a GPU's compiler sees it, for the chip model. Everything that a GPU does
// by hardware is a function without a body here, `mf_gpu_...`. Two texts are made of what clang
// makes of it (foundry/msl/gpu): one for a GPU's register allocator, where they are instructions,
// and one that runs on this machine and counts, where they are the runtime's (counters/gpu.cpp).
#pragma once

#define MF_INLINE inline __attribute__((always_inline))
#define MF_CONVERGENT __attribute__((convergent, nothrow))
#define MF_GPU_VALUE __attribute__((const, nothrow, noconvergent))

namespace mf {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using uptr = __UINTPTR_TYPE__;

constexpr u32 simd_width = 32;
constexpr u32 max_threads = 1024;

extern "C" {
MF_GPU_VALUE u32 mf_gpu_lane();
MF_GPU_VALUE u32 mf_gpu_index();         // of the thread in its threadgroup
MF_GPU_VALUE u32 mf_gpu_local(u32 axis);
MF_GPU_VALUE u32 mf_gpu_group(u32 axis);
MF_GPU_VALUE u32 mf_gpu_launch(u32 number);  // grid, threadgroup, threadgroups, this threadgroup
MF_GPU_VALUE __attribute__((address_space(3))) u8* mf_gpu_storage(u32 id);
MF_GPU_VALUE float mf_gpu_exp2(float);
MF_GPU_VALUE float mf_gpu_log2(float);
MF_GPU_VALUE float mf_gpu_rsqrt(float);
MF_GPU_VALUE float mf_gpu_sin(float);
MF_GPU_VALUE float mf_gpu_cos(float);
MF_CONVERGENT u32 mf_gpu_active();
MF_CONVERGENT u32 mf_gpu_shuffle(u32 value, u32 from);
MF_CONVERGENT u64 mf_gpu_multiply(float a0, float a1, float b0, float b1, float x, float y);
MF_CONVERGENT void mf_gpu_barrier();
MF_CONVERGENT void mf_gpu_simd_barrier();
}

MF_INLINE unsigned lane() { return mf_gpu_lane(); }
MF_INLINE unsigned simd_lanes() { return 32; }

// What the lanes of a collective see of each other: a value is fetched when it is asked for.
template <typename T>
struct Slots {
  static_assert(sizeof(T) <= 16, "split values of more than 16 bytes");
  T value;
  u32 first;
  MF_INLINE T operator[](u32 from) const {
    constexpr u32 count = (sizeof(T) + 3) / 4;
    u32 words[count] = {};
    T result;
    __builtin_memcpy(words, &value, sizeof(T));
#pragma unroll
    for (u32 i = 0; i < count; ++i) words[i] = mf_gpu_shuffle(words[i], first + from);
    __builtin_memcpy(&result, words, sizeof(T));
    return result;
  }
};

template <typename T>
MF_INLINE Slots<T> simd_exchange(T value, unsigned& active) {
  active = mf_gpu_active();
  return {value, 0};
}
template <typename T>
MF_INLINE Slots<T> quad_exchange(T value, unsigned& active) {
  active = 15;
  return {value, lane() & ~3u};
}

// In halves, as a GPU does: lanes that do not take part count as the one that asks for them, so a
// partial SIMD-group costs what it should and may give another value.
template <typename T, typename Op>
MF_INLINE T fold_lanes(T value, Op op, u32 lanes) {
#pragma unroll
  for (u32 step = 16; step; step /= 2)
    if (step < lanes) value = op(value, Slots<T>{value, 0}[lane() ^ step]);
  return value;
}
template <typename T, typename Op>
MF_INLINE T simd_reduce(T value, Op op) {
  return fold_lanes(value, op, simd_width);
}
template <typename T, typename Op>
MF_INLINE T scan_by_doubling(T value, Op op, T identity, bool inclusive) {
#pragma unroll
  for (u32 step = 1; step < simd_width; step *= 2) {
    const T below = Slots<T>{value, 0}[(lane() - step) & 31u];
    if (lane() >= step) value = op(below, value);
  }
  if (inclusive) return value;
  const T before = Slots<T>{value, 0}[(lane() - 1) & 31u];
  return lane() ? before : identity;
}

MF_INLINE void threadgroup_barrier() { mf_gpu_barrier(); }
MF_INLINE void simdgroup_barrier() { mf_gpu_simd_barrier(); }

template <u32 id, typename S>
MF_INLINE S& threadgroup_storage() {
  (void)&StorageInfo<id, S>::entry;
  return *(S*)mf_gpu_storage(id);
}
template <typename P, u32 id>
MF_INLINE P threadgroup_argument() {
  (void)&ArgumentInfo<id, __remove_pointer(P)>::entry;
  return (P)mf_gpu_storage(id);
}

}  // namespace mf
