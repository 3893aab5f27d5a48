// Who touched which bytes, and whether anything orders the accesses.
#include "state.h"

namespace mf::sanitizer {
namespace {

u32 group_of(u32 who) { return (who - 1) / max_threads; }
u32 index_of(u32 who) { return (who - 1) % max_threads; }

// Whether nothing orders an earlier access before one by the running thread.
bool unordered(const Stamp& earlier, const Region& region, bool atomic) {
  const u32 who = mf_hot.who;
  if (earlier.when < region.since || earlier.who == who) return false;
  if (atomic && earlier.atomic) return false;
  if (group_of(earlier.who) != group_of(who)) return !region.is_threadgroup && !state.fenced;
  if (!region.is_threadgroup && earlier.when < state.barrier) return false;
  const u32 index = index_of(who);
  const bool one_group = index_of(earlier.who) / simd_width == index / simd_width;
  return !one_group || earlier.when >= state.simd_barrier[index];
}

const Stamp* conflict(const Region& region, u64 granule, bool write, bool atomic) {
  const Stamp& before = region.writes[granule];
  if (unordered(before, region, atomic)) return &before;
  if (!write || !region.has_reads) return nullptr;
  for (u32 i = 0; i < 2; ++i) {
    const Stamp& read = region.reads[2 * granule + i];
    if (unordered(read, region, atomic)) return &read;
  }
  return nullptr;
}

MF_INLINE void note_read(Stamp* reads, const Stamp& stamp) {
  if (reads[0].who == stamp.who) {
    reads[0] = stamp;
  } else {
    if (reads[1].who != stamp.who) reads[0] = reads[1];
    reads[1] = stamp;
  }
}

// From here on every byte has stamps of its own.
void split(Region& region) {
  const u64 whole = 1ull << region.granule;
  for (u64 g = (region.size + whole - 1) >> region.granule; g-- > 0;)
    for (u64 i = whole; i-- > 0;) {
      const u64 to = (g << region.granule) + i;
      region.writes[to] = region.writes[g];
      if (!region.reads) continue;
      for (u32 r = 0; r < 2; ++r) region.reads[2 * to + r] = region.reads[2 * g + r];
    }
  region.granule = 0;
}

// Makes a range of bytes one of granules.
void fit(Region& region, u64 offset, u64 bytes) {
  if ((offset | bytes) & ((1ull << region.granule) - 1)) split(region);
}

// More bytes than a vector has are a whole object: what lies between its members may be unset.
bool is_initialised(const Region& region, u64 offset, u32 bytes) {
  if (!region.born) return true;
  const u64 first = offset >> region.granule, count = bytes >> region.granule;
  u64 set = 0;
  for (u64 i = 0; i < count; ++i) set += region.writes[first + i].when >= region.born;
  return bytes > 16 ? set != 0 : set == count;
}

}  // namespace

// Elements of an output that are not written, and where the last write was.
struct Unset {
  u64 count, first;
  u32 place, is_written;
};

}  // namespace mf::sanitizer

extern "C" MF_EXPORT void mf_sanitizer_unset(const mf::sanitizer::Region* region, mf::u64 itemsize,
                                             mf::sanitizer::Unset* found) {
  using namespace mf;
  *found = {};
  const u64 per_item = itemsize >> region->granule, items = region->size / itemsize;
  for (u64 item = 0; item < items; ++item) {
    bool set = true;
    for (u64 i = 0; i < per_item; ++i) {
      const sanitizer::Stamp& stamp = region->writes[item * per_item + i];
      if (stamp.when >= region->born)
        found->place = stamp.place, found->is_written = 1;
      else
        set = false;
    }
    if (!set && !found->count++) found->first = item;
  }
}
