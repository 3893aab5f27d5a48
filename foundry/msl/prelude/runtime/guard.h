// A fault inside a kernel ends its launch, not the process.
//
// 1. A thread that works on launches has a guard: a stack for signal handlers, and the place where it
//    entered the kernel.
// 2. A fault, or the watcher's signal (watcher.h), sends the thread back to that place. A kernel holds
//    no lock and no memory, so nothing is left behind but its failure.
// 3. What is not a kernel's fault goes to whoever handled the signal before.
#pragma once

#include "launch.h"
#include "signals.h"
#include "system.h"

extern "C" {
void mf_enter(void** save, void (*run)(void*), void* argument);
void mf_left();
int pthread_kill(unsigned long, int);
unsigned long pthread_self(void);
}

namespace mf {

// Kinds of failure, beside those in launch.h.
constexpr u32 wild_address = 6, out_of_stack = 7, endless = 8, trapped = 9;

struct Guard {
  static constexpr uptr stack_bytes = 1 << 16;
  u8 stack[stack_bytes];  // of handlers, which must not need the kernel's
  void* outside;          // stack pointer where the kernel was entered
  unsigned long thread;
  u32 inside;    // the thread runs a kernel
  u32 failure;   // why it was sent back; 0: it was not
  u32 finished;  // counts items, for the watcher
};

namespace {

constexpr u32 most_threads = 256;
constexpr uptr probe_bytes = 1 << 16;  // a stack that overflows is touched this near its end
constexpr int guarded_signals[] = {signal_fault, signal_bus, signal_illegal, signal_trap, signal_time};
constexpr u32 signals = sizeof guarded_signals / sizeof *guarded_signals;

struct Guards {
  Guard* of[most_threads];  // by number of the worker
  Action former[signals];
  u32 strangers;  // faults that were not a kernel's since the handlers were put in place
};
Guards guards;

// The guard whose stack a handler runs on.
Guard* guard_at(uptr handler_frame) {
  for (Guard* guard : guards.of)
    if (guard && handler_frame - reinterpret_cast<uptr>(guard->stack) < Guard::stack_bytes) return guard;
  return nullptr;
}

u32 failure_of(int number, uptr fault, uptr stack_pointer) {
  if (number == signal_time) return endless;
  if (number == signal_illegal || number == signal_trap) return trapped;
  return fault - (stack_pointer - probe_bytes) < 2 * probe_bytes ? out_of_stack : wild_address;
}

// The signal comes again, to whom it went before; one who sends it back here is passed over.
void hand_on(int number) {
  Action usual = {};
  for (u32 i = 0; i < signals; ++i)
    if (guarded_signals[i] == number) usual = guards.former[i];
  if (++guards.strangers > 2) usual = {};
  sigaction(number, &usual, nullptr);
}

void on_signal(int number, void* information, void* raw) {
  Guard* guard = guard_at(reinterpret_cast<uptr>(__builtin_frame_address(0)));
  if (!guard || !guard->inside) {
    if (number != signal_time) hand_on(number);
    return;
  }
  Context at = context_of(raw);
  guard->failure = failure_of(number, fault_address(information), at.sp);
  guard->inside = 0;
  at.sp = reinterpret_cast<uptr>(guard->outside);
  at.pc = reinterpret_cast<uptr>(&mf_left);
}

// Others, such as Python's faulthandler, may have put theirs in place since.
void take_signals() {
  Action now = {};
  sigaction(signal_fault, nullptr, &now);
  if (now.handler == on_signal) return;
  guards.strangers = 0;
  for (u32 i = 0; i < signals; ++i) {
    Action action = {};
    action.handler = on_signal;
    action.flags = on_stack | with_info;
    sigaction(guarded_signals[i], &action, &now);
    if (now.handler != on_signal) guards.former[i] = now;
  }
}

Guard* guard_of(u32 number) {
  if (!guards.of[number]) guards.of[number] = reinterpret_cast<Guard*>(map_memory(sizeof(Guard)));
  return guards.of[number];
}

// From here to `end_guard` this thread's handlers run on the guard's stack.
void begin_guard(Guard& guard, AlternateStack& former) {
  AlternateStack own = {};
  own.pointer = guard.stack;
  own.size = Guard::stack_bytes;
  guard.thread = pthread_self();
  sigaltstack(&own, &former);
}

void end_guard(const AlternateStack& former) { sigaltstack(&former, nullptr); }

// Runs something that may be left half-way; 0, or why it was.
template <typename Run>
u32 guarded(Guard& guard, Run run) {
  struct Call {
    Guard& guard;
    Run& run;
  } call{guard, run};
  guard.failure = 0;
  mf_enter(&guard.outside, [](void* argument) {
    Call& call = *static_cast<Call*>(argument);
    __atomic_store_n(&call.guard.inside, 1, __ATOMIC_RELEASE);
    call.run();
    __atomic_store_n(&call.guard.inside, 0, __ATOMIC_RELEASE);
  }, &call);
  return __atomic_load_n(&guard.failure, __ATOMIC_ACQUIRE);
}

}  // namespace
}  // namespace mf
