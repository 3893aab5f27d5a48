// arm64 (AAPCS64): the context switch of fibres.
#pragma once

#if defined(__APPLE__)
#define MF_SYMBOL(name) "_" name
#else
#define MF_SYMBOL(name) name
#endif

// What the ABI asks to be kept: x19-x30 and d8-d15.
#define MF_SAVE_REGISTERS                                                                     \
  "  sub sp, sp, #160\n"                                                                      \
  "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"          \
  "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"         \
  "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n"                                     \
  "  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
#define MF_RESTORE_REGISTERS                                                                  \
  "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n"          \
  "  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"         \
  "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n"                                     \
  "  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n  add sp, sp, #160\n"

// void mf_switch(void** save, void* load): saves and restores those registers.
// void mf_start(): first code of a fibre; entry waits in x19, its argument in x20.
// void mf_enter(void** save, void (*run)(void*), void* argument): calls run. Whoever jumps to mf_left
// with the saved stack pointer makes mf_enter return at once, whatever run was doing.
__asm__(".text\n.globl " MF_SYMBOL("mf_switch") "\n.p2align 4\n" MF_SYMBOL("mf_switch") ":\n"
        MF_SAVE_REGISTERS
        "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
        MF_RESTORE_REGISTERS
        "  br x30\n"  // not ret: the place called from is never the place to come back to
        ".globl " MF_SYMBOL("mf_start") "\n.p2align 4\n" MF_SYMBOL("mf_start") ":\n"
        "  mov x0, x20\n  blr x19\n  brk #1\n"
        ".globl " MF_SYMBOL("mf_enter") "\n.p2align 4\n" MF_SYMBOL("mf_enter") ":\n"
        MF_SAVE_REGISTERS
        "  mov x9, sp\n  str x9, [x0]\n  mov x0, x2\n  blr x1\n"
        ".globl " MF_SYMBOL("mf_left") "\n" MF_SYMBOL("mf_left") ":\n"
        MF_RESTORE_REGISTERS
        "  ret\n");
#undef MF_SAVE_REGISTERS
#undef MF_RESTORE_REGISTERS

namespace mf {

// Lays out a stack so that mf_switch into it calls entry(argument).
inline void* prepare_stack(void* top, void (*entry)(void*), void* argument, void (*start)()) {
  const uptr aligned = reinterpret_cast<uptr>(top) & ~uptr(15);
  void** frame = reinterpret_cast<void**>(aligned - 160);
  for (int i = 0; i < 20; ++i) frame[i] = nullptr;
  frame[0] = reinterpret_cast<void*>(entry);   // x19
  frame[1] = argument;                         // x20
  frame[11] = reinterpret_cast<void*>(start);  // x30
  return frame;
}

}  // namespace mf
