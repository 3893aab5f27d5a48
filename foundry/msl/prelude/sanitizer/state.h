// What the sanitizer knows of a launch. foundry/msl/sanitizer/native.py mirrors these structs.
#pragma once

#include "../runtime/fibres.h"

#if !MF_SANITIZE
#define MF_SANITIZER(call) ((void)0)
#else
#define MF_SANITIZER(call) sanitizer::call

namespace mf::sanitizer {

enum Kind : u32 {
  out_of_bounds = 1,
  uninitialised_read,
  data_race,
  barrier_divergence,
  simd_divergence,
  misaligned,
  array_bounds,
  wild_access,
  stack_overflow,
  runaway,
};

// Why the sanitizer stopped a launch, beside the kinds in launch.h.
constexpr u32 stopped = 5;
// What `mf_note_tolerant` says of a collective: votes, and operations of quad-groups.
constexpr u32 any_lanes = 1, quad_wide = 2;
constexpr u32 most_findings = 128, most_out_of_bounds = 256, most_storages = 256;
constexpr u32 most_bytes = 1 << 16;  // of one access that are looked at

// One array in its slot of the arena. `cells` and `initialised` have an entry per byte.
struct Region {
  uptr begin;
  u64 size;
  u32 is_threadgroup;
  u32 is_atomic;
  struct Cell* cells;  // null: never written, so that nothing can race
  u8* initialised;     // null: all of it is, or (threadgroup memory) the cells tell
  u64 loaded, stored;  // bytes, for the counters
};

struct Access {
  u32 thread;      // in the grid, from 1; 0: none
  u32 epoch;       // barriers of the array's address space that the threadgroup had passed
  u32 simd_epoch;  // simdgroup_barriers the thread had passed, and whether the access was atomic
  u32 place;       // of the instruction, relative to `code`
};

struct Cell {
  Access write, read[2];
};

struct Finding {
  u32 kind, region;
  long long offset;  // in bytes from the start of the region
  u32 bytes, is_write;
  u32 thread[3], group[3], index;  // position in the threadgroup, threadgroup, linear index
  u32 other_thread;                // in the grid, from 1
  uptr place, other_place;         // return addresses
  u64 count;
  long long detail;  // an index or an alignment
  u32 line, part;    // where the compiler knows the place itself; 0: it does not
};

// A plain store over another thread's store: no fault when it leaves the same bytes.
struct Pending {
  uptr address;
  u32 bytes;
  u8 before[16];
  Finding finding;
};

struct State {
  uptr arena;
  u64 arena_bytes;
  u32 shift, regions;
  Region* region;
  u8* threadgroup_memory;
  u32 storages;
  u32 storage_begin[most_storages], storage_end[most_storages];
  uptr code;
  u32 found, beyond;
  Finding findings[most_findings];
  u64 barriers, atomics;
  // From here on the runtime's own.
  u32 active, group, flags, fenced;
  u32 epoch[2];  // of device memory, of threadgroup memory
  uptr latest;   // place of the latest access
  Pending pending;
  u32 simd_epoch[max_threads];
  u32 tolerant[max_threads];
};

extern State state;

void start_threadgroup(u64 index);
void pass_barrier();
void miss_barrier(Fibre& from, const void* other);
void resolve_lanes(const SimdGroup& group, u32 lanes);

}  // namespace mf::sanitizer

#endif
