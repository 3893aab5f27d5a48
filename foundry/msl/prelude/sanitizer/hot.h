// The part of the sanitizer's state that kernels and every check touch.
#pragma once

#if MF_SANITIZE

namespace mf::sanitizer {

struct Region;

// What every access looks at.
struct alignas(64) Hot {
  __UINTPTR_TYPE__ arena;
  unsigned long long fast_bytes;  // of the arena; 0: every access is to be looked at closely
  unsigned long long arena_bytes;
  Region* region;   // by slot
  unsigned shift;   // bytes of a slot, as a power of two
  unsigned regions;
  unsigned who;     // the running thread in the grid, from 1
  unsigned when;
  __UINTPTR_TYPE__ latest;  // place of the latest access
};

}  // namespace mf::sanitizer

extern "C" __attribute__((visibility("default"))) mf::sanitizer::Hot mf_hot;

#endif
