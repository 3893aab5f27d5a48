// Spreads the items of a launch over the cores.
//
// 1. The caller starts on the items itself. Only when the rest would take long enough to pay for
//    it does it call the other workers, so a small launch costs no hand-over.
// 2. Items are taken in the launch's order from one counter; in the natural one, a threadgroup that
//    waits for an earlier one always finds it running or done.
// 3. Workers look out for the next launch for a short while before they sleep.
#include "divisions.h"
#include "fibres.h"
#include "watcher.h"

namespace mf {
namespace {

constexpr u64 worth_sharing_ns = 15000;
constexpr u64 look_out_ns = 40000;
constexpr u32 no_memory = 3;

struct Pool {
  int process;
  Lock call;   // one launch at a time
  Lock sleep;  // guards `sleepers` and the helpers' wait
  u32 wanted;  // threads, the caller included
  u32 started;
  u32 sleepers;
  Launch* launch;
  u32 round;    // counts shared launches
  u32 open;     // helpers may join the round; those that come late stay out
  u32 working;  // helpers that touch `launch`, or look whether they may
  u64 next;     // first item nobody has taken
  u32 stopped;  // a worker met a failure
  u32 born[most_threads];  // the round before a helper's first
  Worker* worker[most_threads];
};

Pool pool;

u64 least(u64 a, u64 b) { return a < b ? a : b; }

template <typename T>
T read(const T& value) { return __atomic_load_n(&value, __ATOMIC_ACQUIRE); }

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

Worker* worker_of(u32 number) {
  if (!pool.worker[number])
    pool.worker[number] = reinterpret_cast<Worker*>(map_memory(sizeof(Worker)));
  return pool.worker[number];
}

void report(Launch& launch, const Failure& failure) {
  if (__atomic_exchange_n(&pool.stopped, 1, __ATOMIC_ACQ_REL) == 0) launch.failure = failure;
}

// Whether the launch needs stacks for its threads.
bool needs_worker(const Launch& launch) { return loops_on_stacks || !launch.run_items; }

void run_threadgroups(Launch& launch, Guard& guard, Worker& worker, u64 begin, u64 end) {
  for (u64 index = begin; index < end && !read(pool.stopped); ++index) {
    if (!worker.run_threadgroup(index)) report(launch, worker.failure);
    __atomic_store_n(&guard.finished, guard.finished + 1, __ATOMIC_RELAXED);
  }
}

#if MF_SANITIZE
// The sanitizer has handlers of its own (signals.cpp).
void run_items(Launch& launch, Guard& guard, Worker* worker, u64 begin, u64 end) {
  if (!launch.run_items)
    run_threadgroups(launch, guard, *worker, begin, end);
  else if (!worker->run_loop(begin, end))
    report(launch, worker->failure);
}
#else
void run_items(Launch& launch, Guard& guard, Worker* worker, u64 begin, u64 end) {
  const u32 failure = guarded(guard, [&] {
    if (launch.run_items)
      launch.run_items(&launch, begin, end);
    else
      run_threadgroups(launch, guard, *worker, begin, end);
  });
  __atomic_store_n(&guard.finished, guard.finished + 1, __ATOMIC_RELAXED);
  if (!failure) return;
  if (worker) worker->abandon();
  report(launch, {failure, {0, 0, 0}, 0, 0, 0});
}
#endif

// Takes the next items; fewer and fewer as the end comes near, so that all finish together.
bool take(const Launch& launch, u64& begin, u64& end) {
  u64 left = launch.items - least(read(pool.next), launch.items);
  u64 count = left / (u64(pool.wanted) * 8) + 1;
  begin = __atomic_fetch_add(&pool.next, count, __ATOMIC_RELAXED);
  end = least(begin + count, launch.items);
  return begin < launch.items;
}

// What a thread needs to run items; false, and a failure, when there is no memory for it.
struct Tools {
  Guard* guard;
  Worker* worker;
  bool take(Launch& launch, u32 number) {
    guard = guard_of(number);
    worker = needs_worker(launch) ? worker_of(number) : nullptr;
    const bool lacks = needs_worker(launch) && (!worker || !worker->prepare(launch));
    if (guard && !lacks) return true;
    report(launch, {no_memory, {0, 0, 0}, 0, 0, 0});
    return false;
  }
};

// Runs the next items of the launch's order, one by one where that is not the natural one.
void run_next(Launch& launch, const Tools& tools, u64 begin, u64 end) {
  if (launch.stride == 1 && !launch.first)
    return run_items(launch, *tools.guard, tools.worker, begin, end);
  for (; begin < end && !read(pool.stopped); ++begin) {
    const u64 index = (launch.first + begin * launch.stride) % launch.items;
    run_items(launch, *tools.guard, tools.worker, index, index + 1);
  }
}

void work(Launch& launch, u32 number) {
  Tools tools;
  if (!tools.take(launch, number)) return;
  u64 begin, end;
  while (!read(pool.stopped) && take(launch, begin, end))
    run_next(launch, tools, begin, end);
}

// Waits for another round than `seen`; sleeps when none comes soon.
void await_round(u32 seen) {
  for (u64 until = now_ns() + look_out_ns; now_ns() < until;)
    for (u32 i = 0; i < 32; ++i) {
      if (read(pool.round) != seen) return;
      relax();
    }
  pool.sleep.acquire();
  ++pool.sleepers;
  while (read(pool.round) == seen) pool.sleep.wait();
  --pool.sleepers;
  pool.sleep.release();
}

void* helper(void* argument) {
  const u32 number = u32(reinterpret_cast<uptr>(argument));
  u32 seen = pool.born[number];
  AlternateStack former;
  if (Guard* guard = guard_of(number)) begin_guard(*guard, former);
  for (;;) {
    await_round(seen);
    seen = read(pool.round);
    __atomic_fetch_add(&pool.working, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&pool.open, __ATOMIC_SEQ_CST)) work(*pool.launch, number);
    __atomic_fetch_sub(&pool.working, 1, __ATOMIC_ACQ_REL);
  }
}

void start_helpers() {
  while (pool.started + 1 < pool.wanted) {
    u64 id[2];
    u32 number = pool.started + 1;
    pool.born[number] = pool.round;
    if (pthread_create(id, nullptr, helper, reinterpret_cast<void*>(uptr(number)))) return;
    pthread_detach(id[0]);
    pool.started = number;
  }
}

void share(Launch& launch) {
  start_helpers();
  pool.launch = &launch;
  __atomic_store_n(&pool.open, 1, __ATOMIC_SEQ_CST);
  __atomic_fetch_add(&pool.round, 1, __ATOMIC_ACQ_REL);
  pool.sleep.acquire();
  if (pool.sleepers) pool.sleep.wake_all();
  pool.sleep.release();
}

// Nobody joins from here on; those who have are waited for.
void close_round() {
  __atomic_store_n(&pool.open, 0, __ATOMIC_SEQ_CST);
  const u64 patience = now_ns() + look_out_ns;
  while (__atomic_load_n(&pool.working, __ATOMIC_SEQ_CST)) {
    if (now_ns() < patience)
      relax();
    else
      sched_yield();
  }
}

// Works alone until it is clear that the rest is worth sharing.
void work_first(Launch& launch) {
  Tools tools;
  if (!tools.take(launch, 0)) return;
  const u64 started = now_ns();
  for (u64 begin = 0, end = 1; begin < launch.items && !read(pool.stopped); begin = end) {
    const u64 left = launch.items - begin;
    const u64 spent = begin ? now_ns() - started : 0;
    if (left > 1 && pool.wanted > 1 && spent * left > worth_sharing_ns * begin) {
      pool.next = begin;
      share(launch);
      work(launch, 0);
      return close_round();
    }
    end = begin + (begin ? left / 16 + 1 : 1);
    run_next(launch, tools, begin, end);
  }
}

// The caller's own stack, on which kernels without synchronisation run.
__attribute__((noinline)) void fill_stack_below() {
  u8 below[1 << 16];
  memset(below, 0xff, sizeof below);
  __asm__ volatile("" : : "r"(below) : "memory");
}

#if MF_SANITIZE
void run_whole(Launch& launch) { work_first(launch); }
#else
void run_whole(Launch& launch) {
  AlternateStack former = {};
  Guard* guard = guard_of(0);
  if (guard) begin_guard(*guard, former);
  take_signals();
  begin_watch(launch.limit_ns);
  work_first(launch);
  end_watch();
  if (guard) end_guard(former);
}
#endif

// Before the first launch of a process; helpers do not survive a fork.
void prepare_pool() {
  pool.process = getpid();
  pool.call.prepare();
  pool.sleep.prepare();
  pool.started = pool.sleepers = pool.working = pool.open = 0;
  prepare_watcher();
}

}  // namespace
}  // namespace mf

extern "C" {

// Runs a launch to its end; 0, or the kind of its failure. Callers take turns.
MF_EXPORT unsigned mf_launch(mf::Launch* launch, unsigned threads) {
  if (mf::pool.process != getpid()) mf::prepare_pool();
  mf::pool.call.acquire();
  mf::pool.wanted = threads < 1 ? 1 : mf::lesser(threads, mf::most_threads);
  mf::pool.stopped = 0;
  launch->failure.kind = 0;
  mf::survive_divisions();
  mf::divisions.running = 1;
  mf::run_whole(*launch);
  mf::divisions.running = 0;
  mf::pool.call.release();
  return launch->failure.kind;
}

// Leaves nothing of earlier launches in the memory that threads have, so that no kernel can keep
// what it computed. No launch may run meanwhile.
MF_EXPORT void mf_forget() {
  if (mf::pool.process != getpid()) return;
  for (mf::u32 i = 0; i < mf::most_threads; ++i)
    if (mf::pool.worker[i]) mf::pool.worker[i]->forget();
  mf::fill_stack_below();
}

}
