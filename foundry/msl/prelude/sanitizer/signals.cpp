// Faults and time-outs inside a kernel become findings, and the launch ends.
#include "../runtime/signals.h"

namespace mf::sanitizer {
namespace {

constexpr u32 stack_bytes = 1 << 16;

Action former[3];
AlternateStack former_stack;
u8 handler_stack[stack_bytes];

}  // namespace
}  // namespace mf::sanitizer

#if defined(__APPLE__)
extern "C" int __sigreturn(void*, int, unsigned long);
#endif

namespace mf::sanitizer {
namespace {

// A handler that does not return leaves its stack. Linux sees that by the stack pointer; macOS keeps
// a mark, and with it the next overflow would find no stack for its handler.
void leave_handler_stack() {
#if defined(__APPLE__)
  constexpr int reset_alternate_stack = int(0x80000000);
  __sigreturn(nullptr, reset_alternate_stack, 0);
#endif
}

void handle(int number, void* information, void* raw) {
  if (!state.active) {  // not ours: let it have its usual effect
    for (u32 i = 0; i < 3; ++i)
      sigaction(i == 0 ? signal_fault : i == 1 ? signal_bus : signal_time, &former[i], nullptr);
    return;
  }
  const Context at = context_of(raw);
  const bool in_kernel = at.sp - state.stacks < max_threads * region_size;
  if (!in_kernel && number == signal_time) return;  // between two threadgroups: it comes again
  const uptr fault = fault_address(information);
  Kind kind = runaway;
  if (number != signal_time)
    kind = (fault & ~(region_size - 1)) == (at.sp & ~(region_size - 1)) ? stack_overflow : wild_access;
  Finding finding = describe(kind, at.pc + 1);
  finding.detail = (long long)fault;
  if (kind != wild_access) finding.other_place = mf_hot.latest;  // when `pc` is not the kernel's
  keep(finding);
  leave_handler_stack();
  leave(fibre_of(at.sp));
}

void install(int number, Action& before) {
  Action action = {};
  action.handler = handle;
  action.flags = on_stack | with_info | no_defer;
  sigaction(number, &action, &before);
}

}  // namespace
}  // namespace mf::sanitizer

extern "C" {

// Around a launch, on the thread that launches.
MF_EXPORT void mf_sanitizer_begin() {
  using namespace mf;
  using namespace mf::sanitizer;
  AlternateStack stack = {};
  stack.pointer = handler_stack;
  stack.size = stack_bytes;
  sigaltstack(&stack, &former_stack);
  install(signal_fault, former[0]);
  install(signal_bus, former[1]);
  install(signal_time, former[2]);
  state.pending.bytes = 0;
  forget_locals();
  set_fast(true);
  mf_hot.latest = 0;
  ++mf_hot.when;
  for (mf::u32 i = 0; i < mf_hot.regions; ++i) {
    Region& region = mf_hot.region[i];
    region.since = mf_hot.when;
    if (region.is_new) region.born = mf_hot.when;
  }
  state.active = 1;
}

MF_EXPORT void mf_sanitizer_end() {
  using namespace mf;
  using namespace mf::sanitizer;
  if (state.active) settle();
  state.active = 0;
  sigaction(signal_fault, &former[0], nullptr);
  sigaction(signal_bus, &former[1], nullptr);
  sigaction(signal_time, &former[2], nullptr);
  sigaltstack(&former_stack, nullptr);
}

}
