// What a signal's handler is told, and what it may change: by system and processor, without headers.
#pragma once

#include "../target.h"

extern "C" {
int sigaction(int, const void*, void*);
int sigaltstack(const void*, void*);
}

namespace mf {

constexpr int signal_illegal = 4, signal_trap = 5, signal_fault = 11, signal_time = 26;
#if defined(__APPLE__)
constexpr int signal_bus = 10;
constexpr int on_stack = 0x1, with_info = 0x40, no_defer = 0x10;
struct Action {
  void (*handler)(int, void*, void*);
  u32 mask;
  int flags;
};
struct AlternateStack {
  void* pointer;
  unsigned long size;
  int flags;
};
constexpr uptr address_at = 24;
#else
constexpr int signal_bus = 7;
constexpr int on_stack = 0x08000000, with_info = 0x4, no_defer = 0x40000000;
struct Action {
  void (*handler)(int, void*, void*);
  u8 mask[128];
  int flags;
  void (*restorer)();
};
struct AlternateStack {
  void* pointer;
  int flags;
  unsigned long size;
};
constexpr uptr address_at = 16;
#endif

// The interrupted thread's registers that matter here.
struct Context {
  uptr &pc, &sp;
};

inline Context context_of(void* raw) {
  auto word = [](void* base, uptr offset) -> uptr& {
    return *reinterpret_cast<uptr*>(static_cast<u8*>(base) + offset);
  };
#if defined(__APPLE__) && defined(__aarch64__)
  void* machine = reinterpret_cast<void*>(word(raw, 48));
  return {word(machine, 272), word(machine, 264)};
#elif defined(__APPLE__)
  void* machine = reinterpret_cast<void*>(word(raw, 48));
  return {word(machine, 144), word(machine, 72)};
#elif defined(__aarch64__)
  return {word(raw, 440), word(raw, 432)};
#else
  return {word(raw, 168), word(raw, 160)};
#endif
}

inline uptr fault_address(const void* information) {
  return *reinterpret_cast<const uptr*>(static_cast<const u8*>(information) + address_at);
}

}  // namespace mf
