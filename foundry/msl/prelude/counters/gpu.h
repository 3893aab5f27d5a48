// What a kernel that was built for a GPU does, run on this machine: how often SIMD-groups execute its
// basic blocks, and how well what they read would stay in a cache.
#pragma once

#include "counters.h"

namespace mf::counters {

constexpr u64 sector_bytes = 32;
constexpr u32 depths = 7;           // of a cache of 1, 2, 4, ... lines
constexpr u32 most_depth = 1 << (depths - 1);
constexpr u32 neighbours = 8;       // threadgroups side by side whose lines are put together

// How the lines of one array in device memory are used again.
struct Reuse {
  u64 touches;         // lines, summed over instructions of SIMD-groups
  u64 sectors;         // quarters of lines, likewise
  u64 misses[depths];  // that a cache of so many lines, its SIMD-group's own, does not hold
  u64 in_step;         // distinct in an instruction, over all SIMD-groups of a threadgroup
  u64 lines;           // distinct in a threadgroup, summed over threadgroups
  u64 distinct[neighbours];  // sectors of the first, the first two, ... of a row of neighbours
  u64 rows[neighbours];      // that these are sums over
};

struct Blocks {
  u32 count;      // basic blocks
  u32* lanes;     // [thread][block]: of the running threadgroup
  u64* groups;    // [block]: executions by a SIMD-group
  u64* threads;   // [block]: executions by a thread
  Reuse* reuse;   // [array][loads, stores]
};

extern Blocks blocks;

void touch_lines(u32 array, u32 group, u64 path, u64 first, u64 last);
void touch_sectors(u32 array, u64 first, u64 last);
void begin_threadgroup(u64 index);
void end_threadgroup(u32 threads);

}  // namespace mf::counters
