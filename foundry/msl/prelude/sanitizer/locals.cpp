// Which bytes of a thread's own variables hold no value yet; sanitizer/locals.py puts the calls in.
// The mark of such a byte is the number of its variable's name, and 0 where a value is.
#include "state.h"

namespace mf::sanitizer {
namespace {

constexpr uptr stacks_bytes = max_threads * region_size;

// The marks of an address on a fibre's stack; null elsewhere.
MF_INLINE u8* marks_of(uptr address, u64 bytes) {
  const uptr at = address - state.stacks;
  return state.unset && at < stacks_bytes && bytes <= stacks_bytes - at ? state.unset + at : nullptr;
}

MF_INLINE bool any_unset(const u8* marks, u64 bytes) {
  u8 any = 0;
  for (u64 i = 0; i < bytes; ++i) any |= marks[i];
  return any;
}

MF_INLINE u8 first_mark(const u8* marks, u64 bytes) {
  u8 first = 0;
  for (u64 i = 0; i < bytes && !first; ++i) first = marks[i];
  return first;
}

MF_SLOW void tell_unset(uptr place, u8 mark) {
  Finding finding = describe(unset_local, place);
  finding.other_place = reinterpret_cast<uptr>(state.unset_names[mark]);
  keep(finding);
}

// A copy out of the variables is a use of all that is copied; of an object with several members,
// what lies between them may be unset.
void use_copy(const u8* marks, u64 bytes, uptr place) {
  u64 unset = 0;
  for (u64 i = 0; i < bytes; ++i) unset += marks[i] != 0;
  if (bytes > 16 ? unset == bytes : unset != 0) tell_unset(place, first_mark(marks, bytes));
}

}  // namespace

// Nothing is left of earlier launches.
void forget_locals() {
  if (!state.unset) return;
  munmap(state.unset, stacks_bytes);
  state.unset = nullptr;
}

}  // namespace mf::sanitizer

extern "C" {

// The same address, of which the optimiser knows nothing.
MF_EXPORT void* mf_local(void* variable) { return variable; }

// `number` is that of the name, from 1.
MF_EXPORT void mf_unset(void* variable, mf::u64 bytes, mf::u32 number, const char* name) {
  using namespace mf::sanitizer;
  mf_hot.latest = MF_PLACE;  // the stack may end here
  if (!state.unset) state.unset = mf::map_memory(stacks_bytes);
  memset(variable, 0xff, bytes);
  state.unset_names[number] = name;
  mf::u8* marks = marks_of(reinterpret_cast<mf::uptr>(variable), bytes);
  if (marks) memset(marks, int(number), bytes);
}

MF_EXPORT void mf_scope_end(void* variable, mf::u64 bytes) {
  using namespace mf::sanitizer;
  if (mf::u8* marks = marks_of(reinterpret_cast<mf::uptr>(variable), bytes)) memset(marks, 0, bytes);
}

MF_EXPORT MF_KEEPING void mf_local_load(const void* address, mf::u64 bytes) {
  using namespace mf::sanitizer;
  const mf::u8* marks = marks_of(reinterpret_cast<mf::uptr>(address), bytes);
  if (marks && any_unset(marks, bytes)) tell_unset(MF_PLACE, first_mark(marks, bytes));
}

MF_EXPORT MF_KEEPING void mf_local_store(const void* address, mf::u64 bytes) {
  using namespace mf::sanitizer;
  mf::u8* marks = marks_of(reinterpret_cast<mf::uptr>(address), bytes);
  for (mf::u64 i = 0; marks && i < bytes; ++i) marks[i] = 0;
}

// A bit for each byte that is not set, and in the highest byte the mark of the first of them.
MF_EXPORT mf::u64 mf_local_state(const void* address, mf::u64 bytes) {
  using namespace mf::sanitizer;
  const mf::u8* marks = marks_of(reinterpret_cast<mf::uptr>(address), bytes);
  mf::u64 unset = 0;
  for (mf::u64 i = 0; marks && i < bytes; ++i) unset |= mf::u64(marks[i] != 0) << i;
  return unset ? unset | mf::u64(first_mark(marks, bytes)) << 56 : 0;
}

MF_EXPORT void mf_local_put(void* address, mf::u64 bytes, mf::u64 unset) {
  using namespace mf::sanitizer;
  mf::u8* marks = marks_of(reinterpret_cast<mf::uptr>(address), bytes);
  const mf::u8 mark = mf::u8(unset >> 56);
  for (mf::u64 i = 0; marks && i < bytes; ++i) marks[i] = unset >> i & 1 ? mark : 0;
  if (!marks && unset) tell_unset(MF_PLACE, mark);
}

MF_EXPORT void mf_local_copy(void* to, const void* from, mf::u64 bytes) {
  using namespace mf::sanitizer;
  mf::u8* target = marks_of(reinterpret_cast<mf::uptr>(to), bytes);
  const mf::u8* source = marks_of(reinterpret_cast<mf::uptr>(from), bytes);
  for (mf::u64 i = 0; target && i < bytes; ++i) target[i] = source ? source[i] : 0;
  if (!target && source) use_copy(source, bytes, MF_PLACE);
}

}
