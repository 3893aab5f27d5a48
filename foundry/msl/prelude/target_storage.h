// Which threadgroup memory a kernel declares: a table in the object it is built into.
#pragma once

#if defined(__APPLE__)
#define MF_STORAGE_SECTION "__DATA_CONST,mf_storage"
#define MF_STORAGE_START __asm("section$start$__DATA_CONST$mf_storage")
#define MF_STORAGE_STOP __asm("section$end$__DATA_CONST$mf_storage")
#elif defined(MF_FOR_MAC)
// Compiled as a GPU's, linked for a Mac: \1 keeps the Mac's underscore from the name.
#define MF_STORAGE_SECTION "__DATA_CONST,mf_storage"
#define MF_STORAGE_START __asm("\1section$start$__DATA_CONST$mf_storage")
#define MF_STORAGE_STOP __asm("\1section$end$__DATA_CONST$mf_storage")
#else
#define MF_STORAGE_SECTION "mf_storage"
#define MF_STORAGE_START __asm("__start_mf_storage")
#define MF_STORAGE_STOP __asm("__stop_mf_storage")
#endif

namespace mf {

using u32 = unsigned int;
constexpr u32 max_storages = 256;

// Size and alignment of each storage, gathered by the linker and read once after loading.
struct StorageEntry {
  u32 id, size, alignment, item;  // bytes of an element of its innermost array
};

template <u32 n>
struct Bytes {
  static constexpr u32 count = n;
};

// Of the one variable that a storage holds.
template <typename S>
constexpr u32 item_bytes() {
  const auto look = [](S& storage) {
    auto& [variable] = storage;
    return Bytes<sizeof(__remove_all_extents(decltype(variable)))>();
  };
  return decltype(look(*static_cast<S*>(nullptr)))::count;
}

template <u32 id, typename S>
struct StorageInfo {
  static_assert(id < max_storages, "too many threadgroup declarations");
  __attribute__((section(MF_STORAGE_SECTION), used, retain)) static inline const StorageEntry entry = {
      id, sizeof(S), alignof(S), item_bytes<S>()};
};

// Defines the function that lists the entries of a kernel.
#define MF_STORAGE_TABLE                                                                        \
  extern "C" __attribute__((weak, visibility("hidden"))) const mf::StorageEntry mf_first_entry  \
      MF_STORAGE_START;                                                                         \
  extern "C" __attribute__((weak, visibility("hidden"))) const mf::StorageEntry mf_entries_end  \
      MF_STORAGE_STOP;                                                                          \
  extern "C" MF_EXPORT const mf::StorageEntry* mf_storages(mf::u32* count) {                    \
    *count = mf::u32(&mf_entries_end - &mf_first_entry);                                        \
    return &mf_first_entry;                                                                     \
  }

// Threadgroup memory that the host sizes: an argument of a kernel function.
template <typename T>
constexpr u32 bytes_of = sizeof(T);
template <>
inline constexpr u32 bytes_of<void> = 1;

template <u32 id, typename T>
struct ArgumentInfo {
  __attribute__((section(MF_STORAGE_SECTION), used, retain)) static inline const StorageEntry entry = {
      id, 0, 16, bytes_of<T>};
};

}  // namespace mf
