// Ends launches that make no progress, as a Mac's watchdog does.
//
// One thread looks at the launch under way a few times a second, and sleeps when there has been none
// for a while. The limit is on time without a finished item, both on the wall and of the process's
// processors, so that neither a long launch nor a busy machine is taken for an endless kernel.
#pragma once

#include "guard.h"

extern "C" int nanosleep(const void*, void*);

namespace mf {
namespace {

constexpr long tick_ns = 50'000'000;
constexpr u32 idle_ticks = 20;
#if defined(__APPLE__)
constexpr int clock_process = 12;
#else
constexpr int clock_process = 2;
#endif

struct Watcher {
  Lock lock;
  u32 is_started, is_asleep;
  u64 limit_ns;  // of the launch under way; 0: there is none to watch
  u32 launch;    // counts launches
};
Watcher watcher;

struct Progress {
  u32 launch, finished;
  u64 wall_ns, processor_ns;  // when it was seen to change
};

u32 finished_items() {
  u32 sum = 0;
  for (Guard* guard : guards.of)
    if (guard) sum += __atomic_load_n(&guard->finished, __ATOMIC_RELAXED);
  return sum;
}

void interrupt_kernels() {
  for (Guard* guard : guards.of)
    if (guard && __atomic_load_n(&guard->inside, __ATOMIC_ACQUIRE)) pthread_kill(guard->thread, signal_time);
}

void look(Progress& last, u64 limit_ns) {
  const u32 launch = __atomic_load_n(&watcher.launch, __ATOMIC_ACQUIRE), finished = finished_items();
  const u64 wall = now_ns(), processor = now_ns(clock_process);
  if (launch != last.launch || finished != last.finished)
    last = {launch, finished, wall, processor};
  else if (wall - last.wall_ns >= limit_ns && processor - last.processor_ns >= limit_ns)
    interrupt_kernels();
}

void sleep_until_launch() {
  watcher.lock.acquire();
  __atomic_store_n(&watcher.is_asleep, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(&watcher.limit_ns, __ATOMIC_SEQ_CST)) watcher.lock.wait();
  __atomic_store_n(&watcher.is_asleep, 0, __ATOMIC_SEQ_CST);
  watcher.lock.release();
}

void* watch(void*) {
  Progress last = {};
  for (u32 idle = 0;;) {
    const long tick[2] = {0, tick_ns};
    nanosleep(tick, nullptr);
    const u64 limit_ns = __atomic_load_n(&watcher.limit_ns, __ATOMIC_SEQ_CST);
    idle = limit_ns ? 0 : idle + 1;
    if (limit_ns) look(last, limit_ns);
    if (idle < idle_ticks) continue;
    sleep_until_launch();
    idle = 0;
  }
}

// Watches the launch that begins; a launch without a limit is not watched.
void begin_watch(u64 limit_ns) {
  if (!limit_ns) return;
  __atomic_add_fetch(&watcher.launch, 1, __ATOMIC_RELEASE);
  __atomic_store_n(&watcher.limit_ns, limit_ns, __ATOMIC_SEQ_CST);
  if (!watcher.is_started) {
    u64 id[2];
    watcher.is_started = !pthread_create(id, nullptr, watch, nullptr);
    if (watcher.is_started) pthread_detach(id[0]);
  }
  if (!__atomic_load_n(&watcher.is_asleep, __ATOMIC_SEQ_CST)) return;
  watcher.lock.acquire();
  watcher.lock.wake_all();
  watcher.lock.release();
}

void end_watch() { __atomic_store_n(&watcher.limit_ns, 0, __ATOMIC_SEQ_CST); }

// Before the first launch of a process: threads do not survive a fork.
void prepare_watcher() {
  watcher.lock.prepare();
  for (Guard* guard : guards.of)
    if (guard) guard->inside = 0;
  watcher.is_started = watcher.is_asleep = 0;
  watcher.limit_ns = 0;
}

}  // namespace
}  // namespace mf
