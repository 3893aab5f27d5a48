// MSL 6.9.1, <metal_compute>: barriers, fences and their enumerations.
#pragma once
#pragma clang system_header

#include "metal_scalar.h"
#include "sanitizer/hooks.h"

namespace metal {

// A class, not an enumeration: its operator must not be found at namespace scope (mlx_complex.h).
struct mem_flags {
  enum flag : uint {
    mem_none = 0,
    mem_device = 1,
    mem_threadgroup = 2,
    mem_texture = 4,
    mem_threadgroup_imageblock = 8,
    mem_object_data = 16,
    mem_device_and_threadgroup = 3,
  };
  uint bits;
  constexpr mem_flags(flag set) : bits(set) {}
  explicit constexpr mem_flags(uint set) : bits(set) {}
  friend constexpr mem_flags operator|(flag a, flag b) { return mem_flags(uint(a) | uint(b)); }
  friend constexpr mem_flags operator|(mem_flags a, mem_flags b) {
    return mem_flags(a.bits | b.bits);
  }
  friend constexpr mem_flags operator&(mem_flags a, mem_flags b) {
    return mem_flags(a.bits & b.bits);
  }
  friend constexpr bool operator==(mem_flags a, mem_flags b) { return a.bits == b.bits; }
  friend constexpr bool operator!=(mem_flags a, mem_flags b) { return a.bits != b.bits; }
};

enum thread_scope : int {
  thread_scope_thread = 0,
  thread_scope_simdgroup = 4,
  thread_scope_threadgroup = 1,
  thread_scope_device = 2,
};
enum memory_order : int {
  memory_order_relaxed = 0,
  memory_order_acquire = 2,
  memory_order_release = 3,
  memory_order_acq_rel = 4,
  memory_order_seq_cst = 5,
};

MF_FN void threadgroup_barrier(mem_flags flags, thread_scope = thread_scope_threadgroup) {
  MF_NOTE(mf_note_barrier(flags.bits));
  mf::threadgroup_barrier();
}
MF_FN void simdgroup_barrier(mem_flags, thread_scope = thread_scope_simdgroup) {
  mf::simdgroup_barrier();
  MF_NOTE(mf_note_simd_barrier());
}
MF_FN void atomic_thread_fence(mem_flags, memory_order = memory_order_seq_cst,
                               thread_scope = thread_scope_device) {
  MF_NOTE(mf_note_fence());
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

}  // namespace metal
