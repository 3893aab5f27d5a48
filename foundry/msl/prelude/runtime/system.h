// The few C library and POSIX functions the runtime calls, declared here so that building it needs
// no system headers.
#pragma once

extern "C" {
void* mmap(void*, unsigned long, int, int, int, long);
int munmap(void*, unsigned long);
int mprotect(void*, unsigned long, int);
int madvise(void*, unsigned long, int);
int pthread_create(void*, const void*, void* (*)(void*), void*);
int pthread_detach(unsigned long);
int pthread_mutex_init(void*, const void*);
int pthread_mutex_lock(void*);
int pthread_mutex_unlock(void*);
int pthread_cond_init(void*, const void*);
int pthread_cond_wait(void*, void*);
int pthread_cond_broadcast(void*);
int getpid(void);
int sched_yield(void);
int clock_gettime(int, void*);
void* memset(void*, int, unsigned long);
}

namespace mf {

#if defined(__APPLE__)
constexpr int map_private_anonymous = 0x0002 | 0x1000 | 0x0040;  // and no reserve
constexpr int clock_monotonic = 6;
#else
constexpr int map_private_anonymous = 0x0002 | 0x0020 | 0x4000;  // and no reserve
constexpr int clock_monotonic = 1;
#endif
constexpr int protect_none = 0, protect_read_write = 3;

inline u8* map_memory(uptr bytes) {
  void* at = mmap(nullptr, bytes, protect_read_write, map_private_anonymous, -1, 0);
  return at == reinterpret_cast<void*>(-1) ? nullptr : static_cast<u8*>(at);
}

// Gives pages back, so that they are zeros when they are touched next; what that costs grows with
// the pages that were touched. On a Mac they may keep what they held.
inline void drop_pages(uptr begin, uptr end) {
  constexpr uptr page = 16384;
  constexpr int not_needed = 4;
  begin = (begin + page - 1) & ~(page - 1), end &= ~(page - 1);
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, not_needed);
}

inline u64 now_ns(int clock = clock_monotonic) {
  struct { long seconds, nanoseconds; } time;
  clock_gettime(clock, &time);
  return u64(time.seconds) * 1000000000ull + u64(time.nanoseconds);
}

// Larger than the types of any system, so their headers are not needed.
struct Lock {
  alignas(16) u8 mutex[128];
  alignas(16) u8 condition[128];
  void prepare() {
    pthread_mutex_init(mutex, nullptr);
    pthread_cond_init(condition, nullptr);
  }
  void acquire() { pthread_mutex_lock(mutex); }
  void release() { pthread_mutex_unlock(mutex); }
  void wait() { pthread_cond_wait(condition, mutex); }
  void wake_all() { pthread_cond_broadcast(condition); }
};

}  // namespace mf
