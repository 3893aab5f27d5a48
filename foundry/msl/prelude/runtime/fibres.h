// Runs the threads of one threadgroup on one OS thread.
//
// 1. Every thread is a fibre. A fibre runs until it waits or returns, then switches straight to the
//    next runnable lane of its SIMD-group; lanes take turns in order.
// 2. When no lane of a SIMD-group can run, the lanes that wait at a SIMD-group collective are
//    resolved: all of them if they wait at one place, otherwise those at the earliest place in the
//    program; the rest wait on, so that diverged lanes meet again.
// 3. When a SIMD-group can do no more (or, if asked, at every collective), the next one runs; when
//    none can, all are at a barrier (or have returned), and the barrier opens.
// 4. A fibre may let all others pass: it goes on when none of them can run, before a barrier opens.
// 5. Fibres outlive their threadgroup: returning from the kernel parks them for the next one.
#pragma once

#include "../target.h"
#include "launch.h"
#include "system.h"

#if defined(__x86_64__)
#include "../target_x86_64.h"
#elif defined(__aarch64__)
#include "../target_arm64.h"
#else
#error "no CPU target for this architecture"
#endif



extern "C" {
MF_SWITCHING void mf_switch(void** save, void* load);
void mf_start();
}

namespace mf {

constexpr u32 max_groups = max_threads / simd_width;
constexpr uptr guard_bytes = 4096;
constexpr uptr threadgroup_bytes = 1 << 16;
#if MF_SANITIZE
constexpr bool loops_on_stacks = true;
#else
constexpr bool loops_on_stacks = false;
#endif

struct Worker {
  WorkerHead head;
  void* scheduler;  // stack pointer of the OS thread's own context
  const Launch* launch;
  Failure failure;
  Position position;  // group and size are shared by all threads of the threadgroup
  u32 ready;          // fibres with a stack
  u32 placed[3];      // threadgroup size for which `local` of the fibres is right
  u32 threads, groups, live;
  u32 blocked;        // SIMD-groups with no lane to run
  u32 passing;        // some lanes let all others pass
  u32 together;       // SIMD-groups take turns at every collective
  u32 local[max_threads][3];
  Fibre* fibre[max_threads];
  SimdGroup simd[max_groups];

  bool prepare(const Launch&);
  bool run_threadgroup(u64 index);
  void forget();
  // After a threadgroup was left half-way: no stack of a fibre is of use any more.
  void abandon() { ready = placed[0] = 0; }
#if MF_SANITIZE
  u64 begin, end;  // of a kernel's loop
  bool run_loop(u64 first, u64 last);
#endif
};

}  // namespace mf
