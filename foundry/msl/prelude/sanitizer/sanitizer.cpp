// The sanitizer's run-time part: checks every access before it happens.
//
// 1. `mf_check_load` or `mf_check_store` is called before each access of a kernel; the address
//    leads to the slot of the arena, and so to the array.
// 2. An access outside its array is a finding; it goes on, into memory nobody uses.
// 3. Inside, the cells of its bytes tell who read and wrote them since the last barrier.
// 4. Everything runs on one OS thread; `mf_hot.who` is the thread of the grid that runs.
#include "shadow.cpp"
#include "short_way.h"

namespace mf::sanitizer {

State state;

namespace {

bool same(const Finding& a, const Finding& b) {
  return a.kind == b.kind && a.place == b.place && a.region == b.region && a.line == b.line;
}

void keep(const Finding& finding) {
  for (u32 i = 0; i < state.found; ++i)
    if (same(state.findings[i], finding)) {
      ++state.findings[i].count;
      return;
    }
  if (state.found < most_findings) state.findings[state.found++] = finding;
}

Finding describe(Kind kind, uptr place) {
  Finding finding = {};
  finding.kind = kind;
  finding.region = ~0u;
  finding.place = place;
  finding.count = 1;
  finding.thread = mf_hot.who;
  return finding;
}

Finding describe_access(Kind kind, u32 slot, long long offset, u32 bytes, bool write, uptr place) {
  Finding finding = describe(kind, place);
  finding.region = slot;
  finding.offset = offset;
  finding.bytes = bytes;
  finding.is_write = write;
  return finding;
}

[[noreturn]] void leave(Fibre& fibre) {
  Worker& worker = *fibre.worker;
  worker.failure = {stopped, {0, 0, 0}, 0, 0, 0};
  state.active = 0;
  mf_switch(&fibre.stack_pointer, worker.scheduler);
  __builtin_unreachable();
}

// Whether an access is inside its array; if so, its window is where the next ones are expected.
bool inside(Region& region, long long offset, u32 bytes) {
  if (!region.is_threadgroup) return offset >= 0 && u64(offset) + bytes <= region.size;
  for (u32 i = 0; i < state.storages; ++i)
    if (offset >= state.storage_begin[i] && offset + bytes <= state.storage_end[i]) {
      region.window = region.begin + state.storage_begin[i];
      region.window_bytes = state.storage_end[i] - state.storage_begin[i];
      return true;
    }
  return false;
}

// Lets most accesses go the short way, or none.
void set_fast(bool fast) { mf_hot.fast_bytes = fast ? mf_hot.arena_bytes : 0; }

// The store that was pending has happened by now.
void settle() {
  Pending& pending = state.pending;
  if (!pending.bytes) return;
  const u8* now = reinterpret_cast<const u8*>(pending.address);
  bool changed = false;
  for (u32 i = 0; i < pending.bytes; ++i)
    changed |= (pending.mask >> i & 1) && now[i] != pending.before[i];
  pending.bytes = 0;
  set_fast(true);
  if (changed) keep(pending.finding);
}

void tell_race(const Region& region, u64 granule, const Stamp& other, Finding& finding) {
  finding.other_thread = other.who;
  finding.other_place = state.code + uptr((long long)(int)other.place);
  finding.detail = &other == &region.writes[granule];
}

// Only these bytes of a store are another thread's: whether it changes them is seen afterwards.
void wait_for_change(const Region& region, u64 bytes_of_others, const Finding& finding) {
  Pending& pending = state.pending;
  pending.address = region.begin + u64(finding.offset);
  pending.bytes = finding.bytes;
  pending.mask = u32(bytes_of_others);
  for (u32 i = 0; i < finding.bytes; ++i)
    pending.before[i] = reinterpret_cast<const u8*>(pending.address)[i];
  pending.finding = finding;
  set_fast(false);
}

void note(Region& region, u32 slot, u64 offset, u32 bytes, bool write, bool atomic, uptr place) {
  const Stamp stamp = {mf_hot.who, mf_hot.when, u32(place - state.code), atomic};
  const u64 first = offset >> region.granule, count = bytes >> region.granule;
  const bool may_agree = write && !atomic && bytes <= 16;
  Finding finding = {}, agreeing = {};
  u64 others = 0;  // bytes that another thread wrote too
  for (u64 granule = first; granule < first + count; ++granule) {
    const Stamp* other = finding.kind ? nullptr : conflict(region, granule, write, atomic);
    if (other) {
      const bool waits = may_agree && other == &region.writes[granule];
      if (waits) others |= ((1ull << (1u << region.granule)) - 1)
                           << ((granule - first) << region.granule);
      Finding& told = waits ? agreeing : finding;
      if (!told.kind) {
        told = describe_access(data_race, slot, (long long)(offset), bytes, write, place);
        tell_race(region, granule, *other, told);
      }
    }
    if (write) {
      region.writes[granule] = stamp;
    } else {
      region.has_reads = 1;
      note_read(region.reads + 2 * granule, stamp);
    }
  }
  if (finding.kind)
    keep(finding);
  else if (others)
    wait_for_change(region, others, agreeing);
}

void keep_detail(Finding finding, long long detail) {
  finding.detail = detail;
  keep(finding);
}

void beyond(u32 slot, long long offset, u32 bytes, bool write, uptr place) {
  keep(describe_access(out_of_bounds, slot, offset, bytes, write, place));
  if (++state.beyond > most_out_of_bounds) leave(self());
}

// What an access does, as bits.
constexpr u32 read = 1, write = 2, atomic = 4;

// Looks closely at an access. Those of `short_way` that are surely right do not come here, unless
// the launch is being counted: then every access does.
void check(uptr address, u64 length, u32 align, u32 sort, uptr place) {
  mf_hot.latest = place;
  if (address - mf_hot.arena >= mf_hot.arena_bytes || !length) return;
  settle();
  const u32 slot = u32((address - mf_hot.arena) >> mf_hot.shift);
  if (slot >= mf_hot.regions) return;
  const bool writes = sort & write;
  const u32 bytes = length < most_bytes ? u32(length) : most_bytes;
  Region& region = mf_hot.region[slot];
  const long long offset = (long long)(address - region.begin);
  if (!inside(region, offset, bytes)) return beyond(slot, offset, bytes, writes, place);
  if (address & (align - 1))
    keep_detail(describe_access(misaligned, slot, offset, bytes, writes, place), align);
  if (writes && region.is_input)
    keep(describe_access(input_write, slot, offset, bytes, true, place));
  if (!region.writes) return;
  fit(region, u64(offset), bytes);
  if ((sort & read) && !is_initialised(region, u64(offset), bytes))
    keep(describe_access(uninitialised_read, slot, offset, bytes, false, place));
  if (region.reads) note(region, slot, u64(offset), bytes, writes, sort & atomic, place);
}

MF_SLOW void check_read(uptr address, u32 bytes, u32 align, uptr place) {
  check(address, bytes, align, read, place);
}

MF_SLOW void check_write(uptr address, u32 bytes, u32 align, uptr place) {
  check(address, bytes, align, write, place);
}

}  // namespace

void start_threadgroup(u64 index) {
  settle();
  Region& shared = mf_hot.region[state.shared];
  shared.since = shared.born = ++mf_hot.when;
  state.group = u32(index);
  state.flags = 0;
  memset(state.tolerant, 0, sizeof state.tolerant);
}

void resume(const Fibre& fibre) { mf_hot.who = state.group * max_threads + fibre.index + 1; }

void pass_barrier() {
  settle();
  ++mf_hot.when;
  if (state.flags & 1) state.barrier = mf_hot.when;
  if (state.flags & 2) mf_hot.region[state.shared].since = mf_hot.when;
  state.flags = 0;
}

void miss_barrier(Fibre& from, const void* other) {
  settle();
  const Fibre* waiting = nullptr;
  const Worker& worker = *from.worker;
  for (u32 g = 0; g < worker.groups && !waiting; ++g)
    if (worker.simd[g].barrier)
      waiting = worker.simd[g].fibre[__builtin_ctz(worker.simd[g].barrier)];
  if (!waiting) return;
  Finding finding = describe(barrier_divergence, reinterpret_cast<uptr>(waiting->site));
  finding.thread = state.group * max_threads + waiting->index + 1;
  finding.other_place = reinterpret_cast<uptr>(other);
  finding.detail = worker.threads - worker.live;
  keep(finding);
}

// All lanes of the quad-groups that these are in.
u32 quads_of(u32 lanes) {
  const u32 first = (lanes | lanes >> 1 | lanes >> 2 | lanes >> 3) & 0x11111111u;
  return first * 15;
}

// The lanes of one collective go on; others that have not returned are somewhere else.
void resolve_lanes(const SimdGroup& group, u32 lanes) {
  settle();
  state.collective[group.fibre[__builtin_ctz(lanes)]->index / simd_width] = ++mf_hot.when;
  u32 missing = (group.waiting | group.barrier) & ~lanes;
  if (!missing) return;
  const Fibre& here = *group.fibre[__builtin_ctz(lanes)];
  const u32 tolerant = state.tolerant[here.index];
  if (tolerant == quad_wide) missing &= quads_of(lanes);
  if (tolerant == any_lanes || !missing) return;
  const Fibre& there = *group.fibre[__builtin_ctz(missing)];
  Finding finding = describe(simd_divergence, reinterpret_cast<uptr>(here.site));
  finding.thread = state.group * max_threads + here.index + 1;
  finding.other_place = reinterpret_cast<uptr>(there.site);
  finding.detail = __builtin_popcount(lanes);
  keep(finding);
}

}  // namespace mf::sanitizer

#define MF_PLACE reinterpret_cast<mf::uptr>(__builtin_return_address(0))
extern "C" {

// Called before each access; `align` is what the type of the access demands.
MF_EXPORT void mf_check_load(const void* address, mf::u64 bytes, mf::u32 align) {
  mf::sanitizer::check(reinterpret_cast<mf::uptr>(address), bytes, align, mf::sanitizer::read,
                       MF_PLACE);
}
MF_EXPORT void mf_check_store(const void* address, mf::u64 bytes, mf::u32 align) {
  mf::sanitizer::check(reinterpret_cast<mf::uptr>(address), bytes, align, mf::sanitizer::write,
                       MF_PLACE);
}

alignas(64) MF_EXPORT mf::sanitizer::Hot mf_hot;

// For the quick checks (quick.py): the arrays of the launch, and whether something was not surely
// right.
struct MfQuick {
  mf::u64 size;
  mf::u8* seen;
};
MF_EXPORT MfQuick mf_quick[32];
MF_EXPORT mf::u32 mf_doubts;

MF_EXPORT mf::sanitizer::State* mf_sanitizer_state() { return &mf::sanitizer::state; }

MF_EXPORT void mf_note_barrier(mf::u32 flags) { mf::sanitizer::state.flags |= flags; }

MF_EXPORT void mf_note_simd_barrier() {
  using namespace mf::sanitizer;
  settle();
  const mf::u32 index = mf::self().index;
  state.simd_barrier[index] = state.collective[index / mf::simd_width];
}

MF_EXPORT void mf_note_fence() { mf::sanitizer::state.fenced = 1; }

MF_EXPORT void mf_note_tolerant(mf::u32 yes) {
  mf::sanitizer::state.tolerant[mf::self().index] = yes;
}

// A lane takes the value of another, which may not be there.
MF_EXPORT void mf_note_lane(mf::u32 from, mf::u32 active) {
  using namespace mf::sanitizer;
  if (from >= mf::simd_width || (active >> from & 1)) return;
  Finding finding = describe(absent_lane, MF_PLACE);
  finding.detail = from;
  keep(finding);
}

// A lane takes the value of one by its number, of so many.
MF_EXPORT void mf_note_lane_number(mf::u32 from, mf::u32 lanes) {
  using namespace mf::sanitizer;
  if (from < lanes) return;
  Finding finding = describe(absent_lane, MF_PLACE);
  finding.detail = from;
  finding.bytes = lanes;
  keep(finding);
}

// An operation that needs all lanes. Lanes elsewhere have been told of.
MF_EXPORT void mf_note_whole(mf::u32 active) {
  using namespace mf::sanitizer;
  const mf::Fibre& fibre = mf::self();
  if (active == ~0u || mf::u32(__builtin_ctz(active)) != fibre.lane) return;
  if ((fibre.group->waiting | fibre.group->barrier) & ~active) return;
  Finding finding = describe(partial_group, reinterpret_cast<mf::uptr>(fibre.site));
  finding.detail = __builtin_popcount(active);
  keep(finding);
}

MF_EXPORT void mf_note_component(int index, mf::u32 components) {
  using namespace mf::sanitizer;
  Finding finding = describe(component, MF_PLACE);
  finding.detail = index;
  finding.bytes = components;
  keep(finding);
  if (++state.beyond > most_out_of_bounds) leave(mf::self());
}

#define MF_ATOMIC_HOOK(name, sort)                                                        \
  MF_EXPORT void name(const volatile void* object, mf::u32 bytes) {                       \
    using namespace mf::sanitizer;                                                        \
    check(reinterpret_cast<mf::uptr>(object), bytes, bytes, atomic | (sort), MF_PLACE);   \
  }
// An address outside the arena is the thread's own. The second half comes with a jump, so that its
// return address is the kernel's too.
#define MF_SHORT_WAY(bytes, align)                                                             \
  MF_KEEPING static __attribute__((noinline)) void mf_inner_load_##bytes##_##align(const void* a) {  \
    mf::sanitizer::short_read<bytes, align>(reinterpret_cast<mf::uptr>(a), MF_PLACE);          \
  }                                                                                            \
  MF_KEEPING static __attribute__((noinline)) void mf_inner_store_##bytes##_##align(const void* a) { \
    mf::sanitizer::short_write<bytes, align>(reinterpret_cast<mf::uptr>(a), MF_PLACE);         \
  }                                                                                            \
  MF_EXPORT MF_KEEPING void mf_load_##bytes##_##align(const void* a) {                         \
    if (reinterpret_cast<mf::uptr>(a) - mf_hot.arena >= mf_hot.arena_bytes) return;            \
    [[clang::musttail]] return mf_inner_load_##bytes##_##align(a);                             \
  }                                                                                            \
  MF_EXPORT MF_KEEPING void mf_store_##bytes##_##align(const void* a) {                        \
    if (reinterpret_cast<mf::uptr>(a) - mf_hot.arena >= mf_hot.arena_bytes) return;            \
    [[clang::musttail]] return mf_inner_store_##bytes##_##align(a);                            \
  }
#define MF_SHORT_WAYS(bytes) \
  MF_SHORT_WAY(bytes, 1)     \
  MF_SHORT_WAY(bytes, 2)     \
  MF_SHORT_WAY(bytes, 4)     \
  MF_SHORT_WAY(bytes, 8)     \
  MF_SHORT_WAY(bytes, 16)    \
  MF_SHORT_WAY(bytes, 32)    \
  MF_SHORT_WAY(bytes, 64)
MF_SHORT_WAYS(1)
MF_SHORT_WAYS(2)
MF_SHORT_WAYS(4)
MF_SHORT_WAYS(8)
MF_SHORT_WAYS(12)
MF_SHORT_WAYS(16)

// For several reads of one array on one line (gathered.py).
#define MF_ADDRESS(a) reinterpret_cast<mf::uptr>(a)
#define MF_READS(bytes)                                                                       \
  MF_EXPORT MF_KEEPING void mf_loads2_##bytes##_##bytes(const void* a, const void* b) {       \
    mf::sanitizer::short_reads<bytes>(MF_ADDRESS(a), MF_ADDRESS(b), MF_PLACE);                \
  }                                                                                           \
  MF_EXPORT MF_KEEPING void mf_loads4_##bytes##_##bytes(const void* a, const void* b,         \
                                                        const void* c, const void* d) {       \
    mf::sanitizer::short_reads<bytes>(MF_ADDRESS(a), MF_ADDRESS(b), MF_ADDRESS(c),            \
                                      MF_ADDRESS(d), MF_PLACE);                               \
  }
MF_READS(2)
MF_READS(4)
MF_READS(8)
MF_READS(16)

MF_ATOMIC_HOOK(mf_note_atomic, read | write)
MF_ATOMIC_HOOK(mf_note_atomic_load, read)
MF_ATOMIC_HOOK(mf_note_atomic_store, write)

struct MfSourceLocation {
  const char* file;
  mf::u32 line, column;
};

struct MfType {
  mf::u16 kind, info;
  char name[1];
};

struct MfOutOfBounds {
  MfSourceLocation location;
  const MfType* array_type;
  const void* index_type;
};

}

namespace mf::sanitizer {
namespace {

bool is_text(const char* file, const char* name) {
  while (*name && *file == *name) ++file, ++name;
  return !*name && !*file;
}

// clang names the place itself; in the prelude's own code the caller's address stands in.
void locate(Finding& finding, MfSourceLocation& location) {
  const bool header = is_text(location.file, "header");
  if (!header && !is_text(location.file, "source")) return;
  finding.part = header ? 0 : 1;
  finding.line = location.line;
}

}  // namespace
}  // namespace mf::sanitizer

extern "C" {

MF_EXPORT void __ubsan_handle_out_of_bounds(MfOutOfBounds* data, void* index) {
  using namespace mf::sanitizer;
  if (!state.active) return;
  Finding finding = describe(array_bounds, MF_PLACE);
  finding.detail = (long long)(reinterpret_cast<mf::uptr>(index));
  finding.bytes = data->location.column;
  finding.other_place = reinterpret_cast<mf::uptr>(data->array_type->name);
  locate(finding, data->location);
  keep(finding);
  if (++state.beyond > most_out_of_bounds) leave(mf::self());
}

}

#include "locals.cpp"
#include "signals.cpp"
