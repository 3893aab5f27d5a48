// The seam between the language and a target. Everything a target must provide is declared in
// this file's comment and defined in one header per target; the language headers name nothing else.
//
//   unsigned lane()                      position in the SIMD-group, 0..31
//   unsigned simd_lanes()                lanes that exist in this SIMD-group (edge groups have fewer)
//   const T* simd_exchange(T, active&)   publishes a value to the lanes that reach the same call;
//                                        returns 32 slots by lane, and a bit per lane that took part
//   const T* quad_exchange(T, active&)   the same within the quad-group: 4 slots, 4 bits
//   T simd_reduce(T, op)                 op folded over the active lanes, computed once a SIMD-group
//   T simd_transform(T, op)              op(slots, active) run on the 32 slots, once a SIMD-group;
//                                        returns the lane's slot
//   void threadgroup_barrier()           all threads of the threadgroup
//   void simdgroup_barrier()             the active lanes of the SIMD-group
//   S& threadgroup_storage<id, S>()      storage of the id-th threadgroup declaration of the kernel
//
// Slots stay valid until the lane's next collective. T is trivially copyable, up to 16 bytes.
// Address spaces (device, constant, thread, threadgroup) are macros: see metal_spaces.h.
#pragma once

#ifndef MF_DECLARED
#define MF_DECLARED 0
#endif

#if MF_DECLARED
#include "target_declared.h"
#else
#include "target_storage.h"
#if MF_GPU
#include "target_gpu.h"
#else
#include "target_cpu.h"
#endif
#endif
