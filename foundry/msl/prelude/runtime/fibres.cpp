#include "fibres.h"
#include "../sanitizer/state.h"
#if MF_COUNT
#include "../counters/counters.h"
#define MF_COUNTER(call) counters::call
#else
#define MF_COUNTER(call) ((void)0)
#endif

namespace mf {
namespace {

// Sorts where two lanes wait in program order: below 0, 0 or above as in memcmp. Where the place
// is not known, the address that the collective returns to stands in for it.
int compare_places(const Fibre& a, const Fibre& b) {
  if (a.depth == no_place || b.depth == no_place) {
    if (a.depth != b.depth) return a.depth == no_place ? 1 : -1;
    return (a.site > b.site) - (a.site < b.site);
  }
  for (u32 i = 0; i <= a.depth && i <= b.depth; ++i)
    if (a.path[i] != b.path[i]) return a.path[i] < b.path[i] ? -1 : 1;
  return int(a.depth) - int(b.depth);
}

// The lane after this one that can run, in turn.
Fibre& next_lane(SimdGroup& group, u32 lane) {
  u32 later = group.runnable & ~((2u << lane) - 1);
  return *group.fibre[__builtin_ctz(later ? later : group.runnable)];
}

u32 lanes_at_earliest_place(const SimdGroup& group) {
  const Fibre* earliest = group.first;
  u32 lanes = 0;
  for (u32 rest = group.waiting; rest; rest &= rest - 1) {
    u32 lane = u32(__builtin_ctz(rest));
    int order = compare_places(*group.fibre[lane], *earliest);
    if (order < 0) lanes = 0, earliest = group.fibre[lane];
    if (order <= 0) lanes |= 1u << lane;
  }
  return lanes;
}

// Lets the lanes of one collective go on.
void resolve(SimdGroup& group) {
  u32 lanes = group.waiting;
  if (__builtin_expect(group.mixed, 0)) {
    lanes = lanes_at_earliest_place(group);
    group.gather = 1;
  }
  MF_SANITIZER(resolve_lanes(group, lanes));
  group.waiting &= ~lanes;
  if (!group.waiting)
    group.mixed = 0;
  else if (lanes >> group.first->lane & 1)
    group.first = group.fibre[__builtin_ctz(group.waiting)];
  group.runnable = group.active = lanes;
  group.parity ^= 1;
  group.reduced = 0;
}

// Ends the threadgroup with a failure: the fibres' stacks are dropped where they stand.
void fail(Fibre& from, u32 kind, u32 arrived) {
  Worker& worker = *from.worker;
  const u32* at = worker.position.group;
  worker.failure = {kind, {at[0], at[1], at[2]}, arrived, worker.threads,
                    worker.threads - worker.live};
  mf_switch(&from.stack_pointer, worker.scheduler);
}

u32 waiting_elsewhere(const Worker& worker) {
  const Fibre* first = nullptr;
  u32 elsewhere = 0;
  for (u32 g = 0; g < worker.groups; ++g)
    for (u32 rest = worker.simd[g].barrier; rest; rest &= rest - 1) {
      const Fibre* fibre = worker.simd[g].fibre[__builtin_ctz(rest)];
      if (!first) first = fibre;
      elsewhere += compare_places(*fibre, *first) != 0;
    }
  return elsewhere;
}

// All live threads are at a barrier. Strictly, that must be all threads, and one barrier.
void open_barrier(Fibre& from) {
  Worker& worker = *from.worker;
  if (worker.launch->strict) {
    if (worker.live != worker.threads) {
      MF_SANITIZER(miss_barrier(from, nullptr));
      fail(from, 1, worker.live);
    }
    u32 elsewhere = waiting_elsewhere(worker);
    if (elsewhere) {
      MF_SANITIZER(miss_barrier(from, from.site));
      fail(from, 2, worker.threads - elsewhere);
    }
  }
  MF_SANITIZER(pass_barrier());
  MF_COUNTER(pass_barrier());
  worker.blocked = 0;
  for (u32 g = 0; g < worker.groups; ++g) {
    SimdGroup& group = worker.simd[g];
    group.runnable = group.barrier;
    group.barrier = 0;
    worker.blocked += !group.runnable;
  }
}

// All others wait, so threads that let them pass go on; false when there are none.
bool resume_passing(Worker& worker) {
  if (!worker.passing) return false;
  worker.passing = worker.blocked = 0;
  for (u32 g = 0; g < worker.groups; ++g) {
    SimdGroup& group = worker.simd[g];
    group.runnable = group.passing;
    group.passing = 0;
    worker.blocked += !group.runnable;
  }
  return true;
}

// The first lane to run of the next SIMD-group that can, in turn; this one comes last.
Fibre& next_group(Fibre& from) {
  Worker& worker = *from.worker;
  u32 g = u32(from.group - worker.simd);
  do g = g + 1 == worker.groups ? 0 : g + 1;
  while (!worker.simd[g].runnable);
  SimdGroup& group = worker.simd[g];
  return next_lane(group, &group == from.group ? from.lane : simd_width - 1);
}

// The next fibre when a SIMD-group can do no more: of another SIMD-group, or, when all of them wait
// at a barrier, of any. Null when the threadgroup is done.
__attribute__((noinline)) Fibre* next_fibre(Fibre& from) {
  Worker& worker = *from.worker;
  if (++worker.blocked == worker.groups) {
    if (!worker.live) return nullptr;
    if (!resume_passing(worker)) open_barrier(from);
    if (from.group->runnable >> from.lane & 1) return &from;
  }
  return &next_group(from);
}

// Brings the lane after the next into the cache: its stack reaches as deep as this lane's.
MF_INLINE void fetch_ahead(const Fibre& from) {
  const u8* ahead = reinterpret_cast<const u8*>(from.group->fibre[(from.lane + 2u) % simd_width]);
  const u8* top = reinterpret_cast<const u8*>(__builtin_stack_address());
  const u8* there = ahead - (reinterpret_cast<const u8*>(&from) - top);
  __builtin_prefetch(ahead, 1);
  for (int line = 0; line < 3; ++line) __builtin_prefetch(there + 64 * line, 1);
}

// Runs whoever can run now that this fibre waits or has returned; comes back when it can go on.
// After a collective a SIMD-group goes on at once, while its stacks are in cache; where launches
// are to be as on a GPU, even for kernels that miss a barrier, all SIMD-groups advance together.
MF_INLINE MF_SWITCHING void advance(Fibre& from) {
  SimdGroup& group = *from.group;
  Fibre* to = &from;
  MF_COUNTER(drain(group));
  if (!group.runnable && group.waiting && !group.passing) {
    resolve(group);
    if (from.worker->together) to = &next_group(from);
  }
  if (to == &from) {
    if (!group.runnable)
      to = next_fibre(from);
    else if (!(group.runnable >> from.lane & 1))
      to = &next_lane(group, from.lane);
  }
  if (to == &from) return;
  fetch_ahead(from);
  mf_switch(&from.stack_pointer, to ? to->stack_pointer : from.worker->scheduler);
  MF_SANITIZER(resume(from));
}

void run_fibre(void* argument) {
  Fibre& fibre = *static_cast<Fibre*>(argument);
  Worker& worker = *fibre.worker;
  for (;;) {
    MF_SANITIZER(resume(fibre));
    Position position = worker.position;
    for (u32 d = 0; d < 3; ++d) position.local[d] = worker.local[fibre.index][d];
    position.index = fibre.index;
    fibre.base = 0;
    fibre.depth = no_place;
#if MF_SANITIZE
    if (worker.launch->run_items)
      worker.launch->run_items(worker.launch, worker.begin, worker.end);
    else
#endif
      worker.launch->run_thread(worker.launch, &position);
    fibre.group->runnable &= ~(1u << fibre.lane);
    --worker.live;
    advance(fibre);
  }
}

// A stack region per fibre, a guard page below each, in one mapping.
bool make_regions(Worker& worker) {
  if (worker.fibre[0]) return true;
  u8* memory = map_memory((max_threads + 1) * region_size);
  if (!memory) return false;
  uptr first = (reinterpret_cast<uptr>(memory) + region_size - 1) & ~(region_size - 1);
  for (u32 i = 0; i < max_threads; ++i) worker.fibre[i] = &fibre_of(first + i * region_size);
  return true;
}

void make_fibre(Worker& worker, u32 index) {
  Fibre& fibre = *worker.fibre[index];
  u8* base = reinterpret_cast<u8*>(reinterpret_cast<uptr>(&fibre) & ~(region_size - 1));
  if (!fibre.worker) mprotect(base, guard_bytes, protect_none);
  fibre.worker = &worker;
  fibre.index = u16(index);
  fibre.lane = u16(index % simd_width);
  fibre.group = &worker.simd[index / simd_width];
  fibre.group->fibre[fibre.lane] = &fibre;
  fibre.stack_pointer = prepare_stack(&fibre, run_fibre, &fibre, mf_start);
}

void place_threads(Worker& worker, const u32 size[3]) {
  u32 index = 0;
  for (u32 z = 0; z < size[2]; ++z)
    for (u32 y = 0; y < size[1]; ++y)
      for (u32 x = 0; x < size[0]; ++x, ++index) {
        u32* local = worker.local[index];
        local[0] = x, local[1] = y, local[2] = z;
      }
  for (u32 d = 0; d < 3; ++d) worker.placed[d] = size[d];
  worker.threads = index;
  worker.groups = (index + simd_width - 1) / simd_width;
}

void start_group(SimdGroup& group, u32 lanes) {
  group.lanes = lanes;
  group.runnable = lanes == simd_width ? ~0u : (1u << lanes) - 1;
  group.waiting = group.barrier = group.mixed = group.gather = group.reduced = group.passing = 0;
}

}  // namespace

bool Worker::prepare(const Launch& todo) {
  if (!make_regions(*this)) return false;
#if MF_SANITIZE
  head.threadgroup_memory = sanitizer::state.threadgroup_memory;
  sanitizer::state.stacks = reinterpret_cast<uptr>(fibre[0]) & ~(region_size - 1);
#elif MF_COUNT
  head.threadgroup_memory = reinterpret_cast<u8*>(counters::state.threadgroup_memory);
#else
  if (!head.threadgroup_memory) head.threadgroup_memory = map_memory(threadgroup_bytes);
  // Nothing of an earlier launch: a kernel has no memory, and what it forgets to write is NaN.
  if (head.threadgroup_memory) memset(head.threadgroup_memory, 0xff, todo.storage_bytes);
#endif
  launch = &todo;
  together = !todo.strict;
  head.storage_offset = todo.storage_offset;
  failure.kind = 0;
  return head.threadgroup_memory != nullptr;
}

bool Worker::run_threadgroup(u64 index) {
  const Item item = split(index, launch->groups[0], launch->groups[1]);
  const u32 id[3] = {item.x, item.y, item.z};
  bool moved = false;
  for (u32 d = 0; d < 3; ++d) {
    position.group[d] = id[d];
    position.size[d] = lesser(launch->group[d], launch->grid[d] - id[d] * launch->group[d]);
    moved |= position.size[d] != placed[d];
  }
  if (moved) place_threads(*this, position.size);
  for (; ready < threads; ++ready) make_fibre(*this, ready);
  for (u32 g = 0; g < groups; ++g) start_group(simd[g], lesser(threads - g * simd_width, simd_width));
  live = threads;
  blocked = passing = 0;
  MF_SANITIZER(start_threadgroup(index));
  MF_COUNTER(start_threadgroup());
  mf_switch(&scheduler, fibre[0]->stack_pointer);
  if (!failure.kind) return true;
  ready = 0;  // the stacks are of no use any more
  return false;
}

// Leaves nothing of earlier launches on the stacks of fibres, which are parked, nor in threadgroup
// memory. What lies just below where they wait is filled, the rest is given back.
void Worker::forget() {
  constexpr uptr filled = 8192, red_zone = 256;
  for (u32 i = 0; i < ready; ++i) {
    const uptr base = reinterpret_cast<uptr>(fibre[i]) & ~(region_size - 1);
    const uptr top = reinterpret_cast<uptr>(fibre[i]->stack_pointer) - red_zone;
    memset(reinterpret_cast<void*>(top - filled), 0xff, filled);
    drop_pages(base + guard_bytes, top - filled);
  }
#if !MF_SANITIZE && !MF_COUNT
  if (head.threadgroup_memory) memset(head.threadgroup_memory, 0xff, threadgroup_bytes);
#endif
}

#if MF_SANITIZE
// The items of a kernel without synchronisation, one after the other on the stack of one fibre: it
// has a guard page, and can be left.
bool Worker::run_loop(u64 first, u64 last) {
  begin = first, end = last;
  placed[0] = 0;  // threads are not where they were
  threads = groups = live = 1;
  blocked = 0;
  if (!ready) make_fibre(*this, ready++);
  start_group(simd[0], 1);
  mf_switch(&scheduler, fibre[0]->stack_pointer);
  if (failure.kind) ready = 0;
  return !failure.kind;
}
#endif

}  // namespace mf

extern "C" {

MF_EXPORT MF_SWITCHING void mf_simd_wait(mf::Fibre* fibre) {
  mf::SimdGroup& group = *fibre->group;
  fibre->site = __builtin_return_address(0);
  if (!group.waiting)
    group.first = fibre;
  else if (mf::compare_places(*fibre, *group.first))
    group.mixed = 1;
  const mf::u32 bit = 1u << fibre->lane;
  group.waiting |= bit;
  group.runnable &= ~bit;
  mf::advance(*fibre);
}

MF_EXPORT MF_SWITCHING void mf_threadgroup_wait(mf::Fibre* fibre) {
  mf::SimdGroup& group = *fibre->group;
  fibre->site = __builtin_return_address(0);
  const mf::u32 bit = 1u << fibre->lane;
  group.barrier |= bit;
  group.runnable &= ~bit;
  mf::advance(*fibre);
}

#if !MF_SANITIZE && !MF_COUNT
// Goes on when every other thread that can run has had its turn.
MF_EXPORT MF_SWITCHING void mf_let_pass(mf::Fibre* fibre) {
  mf::SimdGroup& group = *fibre->group;
  const mf::u32 bit = 1u << fibre->lane;
  group.passing |= bit;
  group.runnable &= ~bit;
  fibre->worker->passing = 1;
  mf::advance(*fibre);
}
#endif

}
