// x86-64 (System V): the context switch of fibres.
#pragma once

#if defined(__APPLE__)
#define MF_SYMBOL(name) "_" name
#else
#define MF_SYMBOL(name) name
#endif

// void mf_switch(void** save, void* load): saves what the ABI asks a function to keep, on the stack.
// void mf_start(): first code of a fibre; its entry function waits in rbx.
__asm__(".text\n.globl " MF_SYMBOL("mf_switch") "\n.p2align 4\n" MF_SYMBOL("mf_switch") ":\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  popq %rcx\n  jmpq *%rcx\n"
        ".globl " MF_SYMBOL("mf_start") "\n.p2align 4\n" MF_SYMBOL("mf_start") ":\n"
        "  movq %r12, %rdi\n  callq *%rbx\n  ud2\n");

namespace mf {

// Lays out a stack so that mf_switch into it calls entry(argument).
inline void* prepare_stack(void* top, void (*entry)(void*), void* argument, void (*start)()) {
  void** frame = reinterpret_cast<void**>(reinterpret_cast<__UINTPTR_TYPE__>(top) & ~static_cast<__UINTPTR_TYPE__>(15));
  *--frame = nullptr;  // two words: the stack stays aligned for the call of entry
  *--frame = nullptr;
  *--frame = reinterpret_cast<void*>(start);
  *--frame = nullptr;                            // rbp
  *--frame = reinterpret_cast<void*>(entry);     // rbx
  *--frame = argument;                           // r12
  for (int i = 0; i < 3; ++i) *--frame = nullptr;  // r13, r14, r15
  return frame;
}

}  // namespace mf
