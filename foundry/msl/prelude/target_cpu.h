// The CPU target: every thread of a threadgroup is a fibre with a stack of its own, scheduled by
// runtime/fibres.cpp. The context switch is in one file per architecture (target_x86_64.h, ...).
#pragma once

#if MF_SANITIZE
// Inlined code without places of its own takes the place of the call: the user's line. The other
// names keep a sanitised kernel from binding to a plain runtime in the same process.
#define MF_INLINE inline __attribute__((nodebug, always_inline))
#define mf_simd_wait mf_sanitized_simd_wait
#define mf_threadgroup_wait mf_sanitized_threadgroup_wait
#else
#define MF_INLINE inline __attribute__((always_inline))
#endif
// Keeps the optimiser from merging, sinking or duplicating a call that lanes meet at.
#define MF_CONVERGENT __attribute__((convergent, nothrow))

namespace mf {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using uptr = __UINTPTR_TYPE__;

constexpr u32 simd_width = 32;
constexpr u32 max_threads = 1024;
constexpr u32 no_place = ~0u;
constexpr u32 path_words = 32;  // deeper places wrap around: their order is then a guess

// A stack region is aligned to its size, so the stack pointer alone leads to the fibre.
// Regions would all map to the same cache sets; the control block, and the stack below it, are
// therefore shifted by a colour taken from the address.
constexpr u32 region_shift = 17;
constexpr uptr region_size = uptr(1) << region_shift;
constexpr uptr top_page = 4096, colour_base = 1024, colours = 8, colour_step = 320;

struct Worker;
struct SimdGroup;

// A switch between fibres touches the first cache line and the stack below it, hardly more.
struct alignas(64) Fibre {
  void* stack_pointer;  // saved while the fibre is not running
  SimdGroup* group;
  const void* site;  // the address that the latest collective returns to
  u16 lane, index;   // in its SIMD-group, in its threadgroup
  // Where the thread is, as numbers that sort in program order: for every loop around it the
  // loop's place and turn, for every call the call's place, last the place of a collective. The
  // front end puts in the code that keeps it (convergence.py).
  u32 base;                    // word at which the current function's part starts
  alignas(16) u8 published[16];  // to the latest collective
  u32 depth;                   // word of the collective's place, or no_place
  u32 path[path_words];
  Worker* worker;
};
// The sanitizer knows a fibre's SIMD-group by its place (`sanitizer/engine_memory.py`).
static_assert(__builtin_offsetof(Fibre, group) == 8);

struct alignas(64) SimdGroup {
  u8 slots[2][simd_width * 16];  // what lanes publish; one buffer is read while the other fills
  alignas(16) u8 result[16];     // of simd_reduce
  Fibre* fibre[simd_width];
  Fibre* first;  // of those that wait
  u32 parity;    // buffer that fills now
  u32 mixed;     // some lanes wait at different places
  u32 gather;    // the slots of the latest collective are not right yet
  u32 runnable;  // a bit per lane, like all masks here: neither waits nor has returned
  u32 waiting;   // at a SIMD-group collective
  u32 barrier;   // at a threadgroup barrier
  u32 active;    // took part in the latest collective
  u32 reduced;   // `result` holds the latest collective's value
  u32 lanes;
  u32 passing;  // lanes that let all other threads pass first
};

// What a fibre's code reads of its worker; the scheduler's own state follows it in memory.
struct WorkerHead {
  u8* threadgroup_memory;
  const u32* storage_offset;  // by storage id
};

MF_INLINE Fibre& fibre_of(uptr address) {
  uptr base = address & ~(region_size - 1);
  uptr colour = ((base >> region_shift) & (colours - 1)) * colour_step;
  return *reinterpret_cast<Fibre*>(base + region_size - top_page + colour_base + colour);
}

MF_INLINE Fibre& self() { return fibre_of(reinterpret_cast<uptr>(__builtin_stack_address())); }

// A fibre that waits leaves with nothing to keep but its stack pointer: its code has saved what it
// still needs, which is less than the C convention asks.
#if defined(__x86_64__)
#define MF_SWITCHING __attribute__((preserve_none))
#else
#define MF_SWITCHING
#endif

extern "C" {
MF_CONVERGENT MF_SWITCHING void mf_simd_wait(Fibre*);
MF_CONVERGENT MF_SWITCHING void mf_threadgroup_wait(Fibre*);
MF_CONVERGENT MF_SWITCHING void mf_let_pass(Fibre*);
}

MF_INLINE unsigned lane() { return self().lane; }
MF_INLINE unsigned simd_lanes() { return self().group->lanes; }

// Runs a collective, or a call of a function that holds one, at its place in the program, `loops`
// deep in the instrumented loops of its function.
template <u32 place, u32 loops, typename F>
MF_INLINE decltype(auto) at_place(F run) {
  Fibre& fibre = self();
  struct Restore {
    Fibre& fibre;
    u32 depth, index, word;
    MF_INLINE ~Restore() { fibre.depth = depth, fibre.path[index] = word; }
  };
  const u32 index = (fibre.base + 2 * loops) & (path_words - 1);
  Restore restore{fibre, fibre.depth, index, fibre.path[index]};
  fibre.depth = index;
  fibre.path[index] = place;
  return run();
}

template <u32 place, u32 loops, typename F>
MF_INLINE decltype(auto) in_call(F run) {
  Fibre& fibre = self();
  struct Restore {
    Fibre& fibre;
    u32 base;
    MF_INLINE ~Restore() { fibre.base = base; }
  };
  Restore restore{fibre, fibre.base};
  const u32 index = fibre.base + 2 * loops;
  fibre.path[index & (path_words - 1)] = place;
  fibre.base = index + 1;
  return run();
}

// Notes the start of a loop, and of each turn; true.
template <u32 loops>
MF_INLINE bool enter_loop(u32 place) {
  Fibre& fibre = self();
  const u32 index = fibre.base + 2 * loops;
  fibre.path[index & (path_words - 1)] = place;
  fibre.path[(index + 1) & (path_words - 1)] = 0;
  return true;
}

template <u32 loops>
MF_INLINE bool next_turn() {
  Fibre& fibre = self();
  ++fibre.path[(fibre.base + 2 * loops + 1) & (path_words - 1)];
  return true;
}

template <typename T>
MF_INLINE MF_CONVERGENT const T* simd_exchange(T value, unsigned& active) {
  static_assert(sizeof(T) <= 16, "split values of more than 16 bytes");
  Fibre& fibre = self();
  SimdGroup& group = *fibre.group;
  // Twice: the slots are right only if all lanes meet here; lanes of a diverged SIMD-group may
  // publish values of other sizes over each other, so their values are gathered again.
  *reinterpret_cast<T*>(fibre.published) = value;
  reinterpret_cast<T*>(group.slots[group.parity])[fibre.lane] = value;
  mf_simd_wait(&fibre);
  active = group.active;
  T* slots = reinterpret_cast<T*>(group.slots[group.parity ^ 1]);
  if (__builtin_expect(group.gather, 0)) {
    group.gather = 0;
    for (u32 i = 0; i < simd_width; ++i)
      if (active >> i & 1) slots[i] = *reinterpret_cast<const T*>(group.fibre[i]->published);
  }
  return slots;
}

template <typename T>
MF_INLINE MF_CONVERGENT const T* quad_exchange(T value, unsigned& active) {
  const T* slots = simd_exchange(value, active);
  unsigned first = lane() & ~3u;
  active = (active >> first) & 15u;
  return slots + first;
}

// All 32 lanes fold as a tree (the first half with the second), which clang turns into vector
// operations; a partial SIMD-group folds in lane order.
template <typename T, typename Op>
MF_INLINE T fold(const T* slots, unsigned active, Op op) {
  if (active == ~0u) {
    T part[simd_width / 2];
    for (u32 i = 0; i < 16; ++i) part[i] = op(slots[i], slots[i + 16]);
    for (u32 i = 0; i < 8; ++i) part[i] = op(part[i], part[i + 8]);
    for (u32 i = 0; i < 4; ++i) part[i] = op(part[i], part[i + 4]);
    return op(op(part[0], part[2]), op(part[1], part[3]));
  }
  u32 i = u32(__builtin_ctz(active));
  T total = slots[i];
  while (active &= active - 1) {
    i = u32(__builtin_ctz(active));
    total = op(total, slots[i]);
  }
  return total;
}

// Once a SIMD-group, so it need not be inlined: that would only cost compile time.
template <typename T, typename Op>
__attribute__((noinline)) void reduce_lanes_of(SimdGroup& group, const T* slots, Op op) {
  *reinterpret_cast<T*>(group.result) = fold(slots, group.active, op);
  group.reduced = 1;
}

template <typename T, typename Op>
MF_INLINE MF_CONVERGENT T simd_reduce(T value, Op op) {
  unsigned active;
  const T* slots = simd_exchange(value, active);
  SimdGroup& group = *self().group;
  if (!group.reduced) reduce_lanes_of(group, slots, op);
  return *reinterpret_cast<T*>(group.result);
}

// op(slots, active) changes the slots of the active lanes in place, once a SIMD-group; returns
// this lane's slot.
template <typename T, typename Op>
MF_INLINE MF_CONVERGENT T simd_transform(T value, Op op) {
  unsigned active;
  T* slots = const_cast<T*>(simd_exchange(value, active));
  SimdGroup& group = *self().group;
  if (!group.reduced) {
    op(slots, active);
    group.reduced = 1;
  }
  return slots[lane()];
}

MF_INLINE MF_CONVERGENT void threadgroup_barrier() { mf_threadgroup_wait(&self()); }
MF_INLINE MF_CONVERGENT void simdgroup_barrier() { mf_simd_wait(&self()); }
// Before a write that other threads may not have read past (lockstep.py).
MF_INLINE MF_CONVERGENT void let_pass() {
#if !MF_SANITIZE
  mf_let_pass(&self());
#endif
}

template <u32 id, typename S>
MF_INLINE S& threadgroup_storage() {
  (void)&StorageInfo<id, S>::entry;
  const WorkerHead* head = reinterpret_cast<const WorkerHead*>(self().worker);
  return *reinterpret_cast<S*>(head->threadgroup_memory + head->storage_offset[id]);
}

template <typename P, u32 id>
MF_INLINE P threadgroup_argument() {
  (void)&ArgumentInfo<id, __remove_pointer(P)>::entry;
  const WorkerHead* head = reinterpret_cast<const WorkerHead*>(self().worker);
  return reinterpret_cast<P>(head->threadgroup_memory + head->storage_offset[id]);
}

}  // namespace mf
