// What the sanitizer knows of a launch. foundry/msl/sanitizer/native.py mirrors these structs.
#pragma once

#include "../runtime/fibres.h"
#include "hot.h"

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
  absent_lane,
  partial_group,
  input_write,
  component,
  unset_local,
};

// Why the sanitizer stopped a launch, beside the kinds in launch.h.
constexpr u32 stopped = 5;
// What `mf_note_tolerant` says of a collective: votes, and operations of quad-groups.
constexpr u32 any_lanes = 1, quad_wide = 2;
constexpr u32 most_findings = 128, most_out_of_bounds = 256, most_storages = 256;
constexpr u32 most_bytes = 1 << 16;  // of one access that are looked at
constexpr u32 largest_granule = 2;   // as a power of two

// An access to a granule. Time counts launches, threadgroups, barriers and collectives, and goes on
// from launch to launch: what an earlier one left is known by its age, so nothing is ever cleared.
struct alignas(16) Stamp {
  u32 who;     // the thread in the grid, from 1; 0: none
  u32 when;
  u32 place;   // of the instruction, relative to `code`
  u32 atomic;
};

// One array in its slot of the arena. `writes` has a stamp, `reads` has two for every granule: 2 to
// the power of `granule` bytes, which shrinks to one byte when an access needs it.
struct Region {
  uptr begin;
  u64 size;
  uptr window;        // the part where an access is surely inside: all, or one threadgroup storage
  u64 window_bytes;
  Stamp* writes;      // null: nothing can race here, and all of it is set
  Stamp* reads;       // null: only read in this launch
  u32 since;          // what happened before cannot race
  u32 born;           // bytes that no stamp from this time on is on are not set
  u32 granule;
  u32 has_reads;
  u32 is_threadgroup;
  u32 is_new;          // nothing of it is set when the launch starts
  u32 is_input;        // not to be written
  u32 unused;
};

struct Finding {
  u32 kind, region;
  long long offset;  // in bytes from the start of the region
  u32 bytes, is_write;
  u32 thread, other_thread;  // in the grid, from 1
  uptr place, other_place;   // return addresses
  u64 count;
  long long detail;  // an index or an alignment
  u32 line, part;    // where the compiler knows the place itself; 0: it does not
};

// A plain store over another thread's store: no fault when it leaves the same bytes.
struct Pending {
  uptr address;
  u32 bytes, mask;  // a bit for each byte that another thread wrote
  u8 before[16];
  Finding finding;
};

// `Hot` (hot.h) is the rest of it.
struct State {
  u32 shared;  // the region of threadgroup memory
  u8* threadgroup_memory;
  u32 storages;
  u32 storage_begin[most_storages], storage_end[most_storages];
  uptr code;
  u32 found, beyond;
  Finding findings[most_findings];
  // From here on the runtime's own.
  u32 active, group, flags, fenced;
  uptr stacks;      // of the fibres
  u8* unset;        // for each of their bytes that holds no value yet the number of a name, else 0;
                    // null: none ever was
  const char* unset_names[256];
  u32 barrier;      // time of the latest barrier for device memory
  Pending pending;
  u32 collective[max_groups];    // time of each SIMD-group's latest one
  u32 simd_barrier[max_threads];  // time of each thread's latest simdgroup_barrier
  u32 tolerant[max_threads];
};

extern State state;

void start_threadgroup(u64 index);
void resume(const Fibre& fibre);
void pass_barrier();
void miss_barrier(Fibre& from, const void* other);
void resolve_lanes(const SimdGroup& group, u32 lanes);

}  // namespace mf::sanitizer

#endif
