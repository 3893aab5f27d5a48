// Calls that the prelude makes in a sanitised build, beside the ones that instrument.py puts in.
#pragma once

#if MF_SANITIZE

extern "C" {
void mf_note_barrier(unsigned flags);
void mf_note_simd_barrier();
void mf_note_fence();
void mf_note_atomic(const volatile void* address, unsigned bytes);
void mf_note_atomic_load(const volatile void* address, unsigned bytes);
void mf_note_atomic_store(const volatile void* address, unsigned bytes);
void mf_note_tolerant(unsigned yes);
void mf_note_lane(unsigned from, unsigned active);
void mf_note_lane_number(unsigned from, unsigned lanes);
void mf_note_whole(unsigned active);
void mf_note_component(int index, unsigned components);
}
#define MF_NOTE(call) call

#elif MF_GPU
#include "../target_gpu_hooks.h"

#else
#define MF_NOTE(call) ((void)0)
#endif

namespace mf {

// The index of a component or a column. One that does not exist is told, and harms nothing.
template <unsigned components>
inline __attribute__((nodebug, always_inline)) constexpr int component(int index) {
#if MF_SANITIZE
  if (!__builtin_is_constant_evaluated() && unsigned(index) >= components) {
    mf_note_component(index, components);
    return 0;
  }
#endif
  return index;
}

}  // namespace mf
