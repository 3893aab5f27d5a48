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
// void mf_enter(void** save, void (*run)(void*), void* argument): calls run. Whoever jumps to mf_left
// with the saved stack pointer makes mf_enter return at once, whatever run was doing.
__asm__(".text\n.globl " MF_SYMBOL("mf_switch") "\n.p2align 4\n" MF_SYMBOL("mf_switch") ":\n"
        "  pushq %rbp\n  movq %rsp, (%r12)\n  movq %r13, %rsp\n  popq %rbp\n  popq %rcx\n  jmpq *%rcx\n"
        ".globl " MF_SYMBOL("mf_start") "\n.p2align 4\n" MF_SYMBOL("mf_start") ":\n"
        "  popq %rdi\n  popq %rax\n  callq *%rax\n  ud2\n"
        ".globl " MF_SYMBOL("mf_enter") "\n.p2align 4\n" MF_SYMBOL("mf_enter") ":\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  subq $8, %rsp\n  movq %rsp, (%rdi)\n  movq %rdx, %rdi\n  callq *%rsi\n"
        ".globl " MF_SYMBOL("mf_left") "\n" MF_SYMBOL("mf_left") ":\n"
        "  addq $8, %rsp\n  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n"
        "  popq %rbp\n  retq\n");

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
