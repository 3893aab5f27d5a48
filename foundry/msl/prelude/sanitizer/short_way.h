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

// Whether a stamp is of the running thread, or older than all that can race.
MF_INLINE bool is_settled(const Stamp& stamp, u32 who, u32 since) {
  return stamp.who == who || stamp.when < since;
}

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
  const u32 who = mf_hot.who, since = region.since, count = bytes >> region.granule;
  Stamp* writes = region.writes + (offset >> region.granule);
  for (u32 i = 0; i < count; ++i)
    if (!is_settled(writes[i], who, since)) return false;
  if (region.has_reads) {
    const Stamp* reads = region.reads + 2 * (offset >> region.granule);
    for (u32 i = 0; i < 2 * count; ++i)
      if (!is_settled(reads[i], who, since)) return false;
  }
  const Stamp stamp = {who, mf_hot.when, u32(place - state.code), 0};
  for (u32 i = 0; i < count; ++i) writes[i] = stamp;
  return true;
}

// Apart, so that reads of arrays that are never written need few registers.
template <u32 bytes>
MF_KEEPING __attribute__((noinline)) bool read_at_once(Region& region, uptr address, uptr place) {
  const u64 offset = address - region.begin;
  if (!region.reads || !fits(region, offset, bytes)) return false;
  const u32 who = mf_hot.who, since = region.since, born = region.born;
  const u32 count = bytes >> region.granule;
  const Stamp* writes = region.writes + (offset >> region.granule);
  for (u32 i = 0; i < count; ++i)
    if (!is_settled(writes[i], who, since) || writes[i].when < born) return false;
  Stamp* reads = region.reads + 2 * (offset >> region.granule);
  const Stamp stamp = {who, mf_hot.when, u32(place - state.code), 0};
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
