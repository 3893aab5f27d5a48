// What the counters know of a launch. foundry/msl/counters/native.py mirrors `State` and `Tally`.
#pragma once

#include "../runtime/fibres.h"

namespace mf::counters {

// What an instruction does; foundry/msl/counters/instrument.py numbers them alike.
enum Kind : u32 { load = 1, store, atomic_load, atomic_store, atomic_update, collective, barrier, simd_barrier };

// The model of the memory: docs/counters.md says where the figures come from.
constexpr u32 line_bytes = 128, banks = 32, word_bytes = 4;
constexpr u32 too_much = 6;  // a failure, beside those of launch.h
constexpr u32 path_words = 64;       // deeper places share the last word
constexpr u32 buffer_words = 1 << 13;  // events of a lane that wait for the other lanes

// What one instruction did to one array, summed over its executions by SIMD-groups.
struct Tally {
  u64 instructions;  // executions by a SIMD-group, by some or all of its lanes
  u64 accesses;      // by lanes
  u64 bytes;         // summed over lanes
  u64 units;         // device memory: lines touched; threadgroup memory: words of the fullest bank
  u64 ideal;         // the same had the bytes lain side by side
  u64 worst;         // largest `units` of one execution; atomics: most lanes at one address
  u64 caller;        // place of the call that the instruction is in, where its own line is unknown
};

// An array, or a threadgroup storage, in the block of memory that the kernel works on.
struct Range {
  uptr begin, end;
  u32 is_threadgroup;
};

struct State {
  uptr block;  // holds all ranges; aligned to a page
  u64 block_bytes;
  uptr threadgroup_memory;
  const Range* ranges;
  u32 arrays;    // how many
  u32 latest;    // range of the latest access
  Tally* tally;  // [place][array]
  u64 most_events;  // the launch ends there
  u64 events, threadgroups, threads, groups, barriers;
};

extern State state;

void start_threadgroup();
inline void pass_barrier() { ++state.barriers; }
void drain(SimdGroup& group);

}  // namespace mf::counters
