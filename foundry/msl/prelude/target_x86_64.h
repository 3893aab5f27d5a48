// x86-64 (System V): the context switch of fibres.
#pragma once

#if defined(__APPLE__)
#define MF_SYMBOL(name) "_" name
#else
#define MF_SYMBOL(name) name
#endif

// void mf_switch(void** save, void* load), preserve_none: arguments in r12 and r13, and only rbp is
// kept for the caller. It comes back with a jump, not with `ret`: the fibre it goes to waits one
// place behind the one that calls, so a prediction from the stack of calls is always wrong.
// void mf_start(): first code of a fibre; its argument and its entry function wait on the stack.
__asm__(".text\n.globl " MF_SYMBOL("mf_switch") "\n.p2align 4\n" MF_SYMBOL("mf_switch") ":\n"
        "  pushq %rbp\n  movq %rsp, (%r12)\n  movq %r13, %rsp\n  popq %rbp\n  popq %rcx\n  jmpq *%rcx\n"
        ".globl " MF_SYMBOL("mf_start") "\n.p2align 4\n" MF_SYMBOL("mf_start") ":\n"
        "  popq %rdi\n  popq %rax\n  callq *%rax\n  ud2\n");

namespace mf {

// Lays out a stack so that mf_switch into it calls entry(argument).
inline void* prepare_stack(void* top, void (*entry)(void*), void* argument, void (*start)()) {
  const uptr aligned = reinterpret_cast<uptr>(top) & ~uptr(15);
  void** frame = reinterpret_cast<void**>(aligned);
  *--frame = reinterpret_cast<void*>(entry);
  *--frame = argument;
  *--frame = reinterpret_cast<void*>(start);
  *--frame = nullptr;  // rbp
  return frame;
}

}  // namespace mf
