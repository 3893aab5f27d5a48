// What a compiled kernel and the runtime exchange. foundry/msl/run/runtime.py mirrors `Launch`.
#pragma once

#include "../sanitizer/hot.h"

#define MF_EXPORT __attribute__((visibility("default"), nothrow))

namespace mf {

struct Failure {
  u32 kind;  // 0 none, 1 barrier missed by returned threads, 2 barriers at several places, 3 no memory;
             // 5 stopped by the sanitizer (state.h); from 6 on: guard.h
  u32 group[3];
  u32 arrived, threads, returned;
};

// Where a thread is. All sizes are in threads.
struct Position {
  u32 local[3];  // in the threadgroup
  u32 group[3];  // the threadgroup in the grid
  u32 size[3];   // of this threadgroup; edge groups are smaller
  u32 index;     // linear, in the threadgroup
};

struct Launch {
  void* const* buffers;
  u32 grid[3];
  u32 group[3];   // of a full threadgroup, clamped to the grid
  u32 groups[3];  // threadgroups per grid
  u32 strict;     // 1: a barrier that returned threads miss is a failure
  u64 items;      // units of work: spans of x, or threadgroups
  u64 first, stride;  // the order of the items: first, first + stride, ... modulo their number
  u64 limit_ns;   // without a finished item, after which the launch is ended; 0: none
  u32 span;       // threads of x in an item of a flat kernel
  u32 storage_bytes;
  const u32* storage_offset;
  void (*run_items)(const Launch*, u64 begin, u64 end);    // a kernel without synchronisation
  void (*run_thread)(const Launch*, const Position*);  // one thread of any other
  Failure failure;
};

struct Item {
  u32 x, y, z;
};

MF_INLINE Item split(u64 index, u32 width, u32 height) {
  u64 rest = index / width;
  return {u32(index % width), u32(rest % height), u32(rest / height)};
}

MF_INLINE u32 lesser(u32 a, u32 b) { return a < b ? a : b; }

// Tells the sanitizer which thread comes next, and keeps the optimiser from making one access of
// those of several threads.
#if MF_SANITIZE
#define MF_THREAD(group, index) \
  (mf_hot.who = u32(group) * max_threads + (index) + 1, __atomic_signal_fence(__ATOMIC_SEQ_CST))
#else
#define MF_THREAD(group, index) ((void)0)
#endif

// Calls body(x, y, z) for every thread of the items; x is innermost, so clang can vectorise it.
template <typename Body>
MF_INLINE void for_flat(const Launch& launch, u64 begin, u64 end, Body body) {
  const u32 spans = (launch.grid[0] + launch.span - 1) / launch.span;
  for (u64 index = begin; index < end; ++index) {
    const Item item = split(index, spans, launch.grid[1]);
    const u32 first = item.x * launch.span;
    const u32 last = lesser(launch.grid[0] - first, launch.span) + first;
    for (u32 x = first; x < last; ++x) body(x, item.y, item.z);
  }
}

// Calls body(position) for every thread of the threadgroups.
template <typename Body>
MF_INLINE void for_groups(const Launch& launch, u64 begin, u64 end, Body body) {
  for (u64 index = begin; index < end; ++index) {
    const Item item = split(index, launch.groups[0], launch.groups[1]);
    const u32 id[3] = {item.x, item.y, item.z};
    u32 size[3];
    for (u32 d = 0; d < 3; ++d)
      size[d] = lesser(launch.group[d], launch.grid[d] - id[d] * launch.group[d]);
    for (u32 z = 0; z < size[2]; ++z)
      for (u32 y = 0; y < size[1]; ++y)
        for (u32 x = 0; x < size[0]; ++x) {
          MF_THREAD(index, (z * size[1] + y) * size[0] + x);
          body(Position{{x, y, z},
                        {id[0], id[1], id[2]},
                        {size[0], size[1], size[2]},
                        (z * size[1] + y) * size[0] + x});
        }
  }
}

}  // namespace mf
