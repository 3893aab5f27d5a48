// The checks of most accesses: at once right, or handed on to `check`. They run in so few registers
// that the kernel around them need not save any.
#pragma once

#include "state.h"

#define MF_KEEPING __attribute__((preserve_all))
#define MF_SLOW __attribute__((preserve_all, noinline, cold))

namespace mf::sanitizer {
namespace {

MF_SLOW void check_read(uptr address, u32 bytes, u32 align, uptr place);
MF_SLOW void check_write(uptr address, u32 bytes, u32 align, uptr place);

// What a stamp must be to be settled: of the running thread, older than all that can race, or of its
// SIMD-group and older than the barrier that it passed last.
struct Settled {
  u32 who, since, group, group_since;
  MF_INLINE explicit Settled(const Region& region)
      : who(mf_hot.who),
        since(region.since),
        group((who - 1) / simd_width),
        group_since(state.simd_barrier[(who - 1) % max_threads]) {}
  MF_INLINE bool holds(const Stamp& stamp) const {
    return stamp.who == who || stamp.when < since ||
           (stamp.when < group_since && (stamp.who - 1) / simd_width == group);
  }
};

// Null when the access is to be looked at closely.
template <u32 bytes, u32 align>
MF_INLINE Region* region_of(uptr address) {
  Region& region = mf_hot.region[(address - mf_hot.arena) >> mf_hot.shift];
  const u64 offset = address - region.window;
  if (offset >= region.window_bytes || offset + bytes > region.window_bytes) return nullptr;
  if (address & (align - 1)) return nullptr;
  return &region;
}

MF_INLINE bool fits(const Region& region, u64 offset, u32 bytes) {
  return !((offset | bytes) & ((1u << region.granule) - 1));
}

template <u32 bytes>
MF_INLINE bool write_at_once(Region& region, uptr address, uptr place) {
  const u64 offset = address - region.begin;
  if (!region.reads || !fits(region, offset, bytes)) return false;
  const Settled settled(region);
  const u32 count = bytes >> region.granule;
  Stamp* writes = region.writes + (offset >> region.granule);
  for (u32 i = 0; i < count; ++i)
    if (!settled.holds(writes[i])) return false;
  if (region.has_reads) {
    const Stamp* reads = region.reads + 2 * (offset >> region.granule);
    for (u32 i = 0; i < 2 * count; ++i)
      if (!settled.holds(reads[i])) return false;
  }
  const Stamp stamp = {settled.who, mf_hot.when, u32(place - state.code), 0};
  for (u32 i = 0; i < count; ++i) writes[i] = stamp;
  return true;
}

// Apart, so that reads of arrays that are never written need few registers.
template <u32 bytes>
MF_KEEPING __attribute__((noinline)) bool read_at_once(Region& region, uptr address, uptr place) {
  const u64 offset = address - region.begin;
  if (!region.reads || !fits(region, offset, bytes)) return false;
  const Settled settled(region);
  const u32 born = region.born, count = bytes >> region.granule;
  const Stamp* writes = region.writes + (offset >> region.granule);
  for (u32 i = 0; i < count; ++i)
    if (!settled.holds(writes[i]) || writes[i].when < born) return false;
  Stamp* reads = region.reads + 2 * (offset >> region.granule);
  const Stamp stamp = {settled.who, mf_hot.when, u32(place - state.code), 0};
  region.has_reads = 1;
  for (u32 i = 0; i < count; ++i) note_read(reads + 2 * i, stamp);
  return true;
}

template <u32 bytes, u32 align>
MF_INLINE void short_read(uptr address, uptr place) {
  mf_hot.latest = place;
  if (__builtin_expect(address - mf_hot.arena < mf_hot.fast_bytes, 1)) {
    Region* region = region_of<bytes, align>(address);
    if (region && (!region->writes || read_at_once<bytes>(*region, address, place))) return;
  }
  check_read(address, bytes, align, place);
}

// One of several reads; an address outside the arena is the thread's own.
template <u32 bytes>
MF_INLINE void one_read(uptr address, uptr place) {
  if (address - mf_hot.arena < mf_hot.arena_bytes) short_read<bytes, bytes>(address, place);
}

// Several reads of one array: at once right where it is only read in this launch, else one by one.
template <u32 bytes>
MF_INLINE bool all_at_once(uptr low, uptr high, uptr either) {
  if (high - mf_hot.arena >= mf_hot.fast_bytes || (either & (bytes - 1))) return false;
  const Region& region = mf_hot.region[(low - mf_hot.arena) >> mf_hot.shift];
  const u64 first = low - region.window, last = high - region.window;
  return !region.writes && first <= last && last < region.window_bytes &&
         last + bytes <= region.window_bytes;
}

template <u32 bytes>
MF_INLINE void short_reads(uptr a, uptr b, uptr place) {
  mf_hot.latest = place;
  const uptr low = a < b ? a : b, high = a < b ? b : a;
  if (low >= mf_hot.arena && all_at_once<bytes>(low, high, a | b)) return;
  one_read<bytes>(a, place);
  one_read<bytes>(b, place);
}

template <u32 bytes>
MF_INLINE void short_reads(uptr a, uptr b, uptr c, uptr d, uptr place) {
  mf_hot.latest = place;
  const uptr l = a < b ? a : b, m = c < d ? c : d, low = l < m ? l : m;
  const uptr h = a < b ? b : a, i = c < d ? d : c, high = h < i ? i : h;
  if (low >= mf_hot.arena && all_at_once<bytes>(low, high, a | b | c | d)) return;
  one_read<bytes>(a, place);
  one_read<bytes>(b, place);
  one_read<bytes>(c, place);
  one_read<bytes>(d, place);
}

template <u32 bytes, u32 align>
MF_INLINE void short_write(uptr address, uptr place) {
  mf_hot.latest = place;
  if (__builtin_expect(address - mf_hot.arena < mf_hot.fast_bytes, 1)) {
    Region* region = region_of<bytes, align>(address);
    if (region && write_at_once<bytes>(*region, address, place)) return;
  }
  check_write(address, bytes, align, place);
}

}  // namespace
}  // namespace mf::sanitizer
