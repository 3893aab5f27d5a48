// The sanitizer's run-time part: checks every access before it happens.
//
// 1. `mf_check_load` or `mf_check_store` is called before each access of a kernel; the address
//    leads to the slot of the arena, and so to the array.
// 2. An access outside its array is a finding; it goes on, into memory nobody uses.
// 3. Inside, the cells of its bytes tell who read and wrote them since the last barrier.
// 4. Everything runs on one OS thread; a thread of the grid is a fibre, known by its stack.
#include "state.h"

namespace mf::sanitizer {

State state;

namespace {

constexpr u32 atomic_bit = 1u << 31;

struct Thread {
  Fibre& fibre;
  u32 id;  // in the grid, from 1
  u32 epoch, simd_epoch;
};

Thread current(const Region& region) {
  Fibre& fibre = self();
  return {fibre, state.group * max_threads + fibre.index + 1, state.epoch[region.is_threadgroup],
          state.simd_epoch[fibre.index]};
}

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

Finding describe(Kind kind, const Fibre& fibre, uptr place) {
  const Worker& worker = *fibre.worker;
  Finding finding = {};
  finding.kind = kind;
  finding.region = ~0u;
  finding.place = place;
  finding.count = 1;
  finding.index = fibre.index;
  for (u32 d = 0; d < 3; ++d) {
    finding.thread[d] = worker.local[fibre.index][d];
    finding.group[d] = worker.position.group[d];
  }
  return finding;
}

Finding describe_access(Kind kind, u32 slot, long long offset, u32 bytes, bool write, uptr place) {
  Finding finding = describe(kind, self(), place);
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

bool inside(const Region& region, long long offset, u32 bytes) {
  if (!region.is_threadgroup) return offset >= 0 && u64(offset) + bytes <= region.size;
  for (u32 i = 0; i < state.storages; ++i)
    if (offset >= state.storage_begin[i] && offset + bytes <= state.storage_end[i]) return true;
  return false;
}

// The store that was pending has happened by now.
void settle() {
  Pending& pending = state.pending;
  if (!pending.bytes) return;
  const u8* now = reinterpret_cast<const u8*>(pending.address);
  bool changed = false;
  for (u32 i = 0; i < pending.bytes; ++i) changed |= now[i] != pending.before[i];
  pending.bytes = 0;
  if (changed) keep(pending.finding);
}

u32 group_of(u32 id) { return (id - 1) / max_threads; }
u32 index_of(u32 id) { return (id - 1) % max_threads; }

// Whether nothing orders an earlier access before one by this thread.
bool unordered(const Access& earlier, const Thread& now, const Region& region, bool atomic) {
  if (!earlier.thread || earlier.thread == now.id) return false;
  if (atomic && (earlier.simd_epoch & atomic_bit)) return false;
  if (group_of(earlier.thread) != state.group) return !region.is_threadgroup && !state.fenced;
  if (earlier.epoch != now.epoch) return false;
  const bool one_group = index_of(earlier.thread) / simd_width == now.fibre.index / simd_width;
  return !one_group || (earlier.simd_epoch & ~atomic_bit) >= now.simd_epoch;
}

bool is_set(const Region& region, u64 offset) {
  if (region.initialised) return region.initialised[offset];
  const u32 writer = region.cells[offset].write.thread;
  return writer && group_of(writer) == state.group;
}

// More bytes than a vector has are a whole object: what lies between its members may be unset.
bool is_initialised(const Region& region, u64 offset, u32 bytes) {
  if (!region.initialised && !region.is_threadgroup) return true;
  u32 set = 0;
  for (u32 i = 0; i < bytes; ++i) set += is_set(region, offset + i);
  return bytes > 16 ? set != 0 : set == bytes;
}

void note_read(Cell& cell, const Access& access) {
  for (Access& known : cell.read)
    if (known.thread == access.thread) return void(known = access);
  cell.read[0] = cell.read[1];
  cell.read[1] = access;
}

const Access* conflict(const Cell& cell, const Thread& now, const Region& region, bool write,
                       bool atomic) {
  if (unordered(cell.write, now, region, atomic)) return &cell.write;
  if (!write) return nullptr;
  for (const Access& read : cell.read)
    if (unordered(read, now, region, atomic)) return &read;
  return nullptr;
}

void race(const Cell& cell, const Access& other, Finding finding, bool atomic) {
  finding.other_thread = other.thread;
  finding.other_place = state.code + uptr((long long)(int)other.place);
  finding.detail = &other == &cell.write;
  const bool both_write = finding.is_write && finding.detail && !atomic;
  if (!both_write || finding.bytes > 16) return keep(finding);
  const Region& region = state.region[finding.region];
  Pending& pending = state.pending;
  pending.address = region.begin + u64(finding.offset);
  pending.bytes = finding.bytes;
  for (u32 i = 0; i < finding.bytes; ++i)
    pending.before[i] = reinterpret_cast<const u8*>(pending.address)[i];
  pending.finding = finding;
}

void note(Region& region, u32 slot, u64 offset, u32 bytes, bool write, bool atomic, uptr place) {
  const Thread now = current(region);
  const Access access = {now.id, now.epoch, now.simd_epoch | (atomic ? atomic_bit : 0),
                         u32(place - state.code)};
  bool told = false;
  for (u32 i = 0; i < bytes; ++i) {
    Cell& cell = region.cells[offset + i];
    const Access* other = told ? nullptr : conflict(cell, now, region, write, atomic);
    if (other) {
      told = true;
      race(cell, *other, describe_access(data_race, slot, long(offset), bytes, write, place),
           atomic);
    }
    if (write) {
      cell.write = access;
      if (region.initialised) region.initialised[offset + i] = 1;
    } else {
      note_read(cell, access);
    }
  }
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

void check(uptr address, u64 length, u32 align, u32 sort, uptr place) {
  state.latest = place;
  if (address - state.arena >= state.arena_bytes || !length) return;
  settle();
  const u32 slot = u32((address - state.arena) >> state.shift);
  if (slot >= state.regions) return;
  const bool writes = sort & write;
  const u32 bytes = length < most_bytes ? u32(length) : most_bytes;
  Region& region = state.region[slot];
  const long long offset = (long long)(address - region.begin);
  if (!inside(region, offset, bytes)) return beyond(slot, offset, bytes, writes, place);
  if (address & (align - 1))
    keep_detail(describe_access(misaligned, slot, offset, bytes, writes, place), align);
  (writes ? region.stored : region.loaded) += bytes;
  if ((sort & read) && !is_initialised(region, u64(offset), bytes))
    keep(describe_access(uninitialised_read, slot, offset, bytes, false, place));
  if (region.cells) note(region, slot, u64(offset), bytes, writes, sort & atomic, place);
}

}  // namespace

void start_threadgroup(u64 index) {
  settle();
  state.group = u32(index);
  state.flags = 0;
  memset(state.simd_epoch, 0, sizeof state.simd_epoch);
  memset(state.tolerant, 0, sizeof state.tolerant);
}

void pass_barrier() {
  settle();
  ++state.barriers;
  if (state.flags & 1) ++state.epoch[0];
  if (state.flags & 2) ++state.epoch[1];
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
  Finding finding =
      describe(barrier_divergence, *waiting, reinterpret_cast<uptr>(waiting->site));
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
  u32 missing = (group.waiting | group.barrier) & ~lanes;
  if (!missing) return;
  const Fibre& here = *group.fibre[__builtin_ctz(lanes)];
  const u32 tolerant = state.tolerant[here.index];
  if (tolerant == quad_wide) missing &= quads_of(lanes);
  if (tolerant == any_lanes || !missing) return;
  const Fibre& there = *group.fibre[__builtin_ctz(missing)];
  Finding finding = describe(simd_divergence, here, reinterpret_cast<uptr>(here.site));
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

MF_EXPORT mf::sanitizer::State* mf_sanitizer_state() { return &mf::sanitizer::state; }

MF_EXPORT void mf_note_barrier(mf::u32 flags) { mf::sanitizer::state.flags |= flags; }

MF_EXPORT void mf_note_simd_barrier() {
  mf::sanitizer::settle();
  ++mf::sanitizer::state.simd_epoch[mf::self().index];
}

MF_EXPORT void mf_note_fence() { mf::sanitizer::state.fenced = 1; }

MF_EXPORT void mf_note_tolerant(mf::u32 yes) {
  mf::sanitizer::state.tolerant[mf::self().index] = yes;
}

#define MF_ATOMIC_HOOK(name, sort)                                                        \
  MF_EXPORT void name(const volatile void* object, mf::u32 bytes) {                       \
    using namespace mf::sanitizer;                                                        \
    ++state.atomics;                                                                      \
    check(reinterpret_cast<mf::uptr>(object), bytes, bytes, atomic | (sort), MF_PLACE);   \
  }
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
  Finding finding = describe(array_bounds, mf::self(), MF_PLACE);
  finding.detail = (long long)(reinterpret_cast<mf::uptr>(index));
  finding.bytes = data->location.column;
  finding.other_place = reinterpret_cast<mf::uptr>(data->array_type->name);
  locate(finding, data->location);
  keep(finding);
  if (++state.beyond > most_out_of_bounds) leave(mf::self());
}

}

#include "signals.cpp"
