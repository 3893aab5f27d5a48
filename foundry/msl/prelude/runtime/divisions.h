// Integer divisions that x86-64 traps on. A GPU goes on when an integer is divided by zero, or the
// least integer by -1; so does arm64. Here the trap is taken and the instruction stepped over: a
// quotient of 0 with the dividend as remainder, or the least integer with 0, as arm64 has it.
#pragma once

#include "system.h"

#if defined(__x86_64__) && defined(__linux__)
#define MF_DIVISIONS_TRAP 1
extern "C" int sigaction(int, const void*, void*);
#endif

namespace mf {

struct Divisions {
  u32 running;     // launches under way
  u32 everywhere;  // also outside of launches: MLX's operations, too, are a GPU's where it stands in
};
inline Divisions divisions;

#if MF_DIVISIONS_TRAP
namespace {

constexpr int signal_division = 8;
struct DivisionAction {
  void (*handler)(int, void*, u8*);
  u8 mask[128];
  int flags;
  void (*restorer)();
};
DivisionAction former_division_action;
u32 division_strangers;  // faults that were not a kernel's since the handler was put in place

// Saved registers in a signal's context.
enum : uptr { saved_rdx = 40 + 12 * 8, saved_rax = 40 + 13 * 8, saved_rip = 40 + 16 * 8 };

template <typename T>
T& saved(u8* context, uptr at) { return *reinterpret_cast<T*>(context + at); }

struct Division {
  u32 bytes;   // of the operand; 0: no division
  u32 length;  // of the instruction
  bool is_signed;
};

// Bytes of an operand that a ModRM byte describes, the byte included.
u32 operand_length(const u8* modrm) {
  const u32 mode = *modrm >> 6, base = *modrm & 7;
  if (mode == 3) return 1;
  const u32 index = base == 4 ? 1 : 0;
  const bool absolute = mode == 0 && (base == 5 || (index && (modrm[1] & 7) == 5));
  return 1 + index + (absolute || mode == 2 ? 4 : mode);
}

Division division_at(const u8* at) {
  const u8* start = at;
  u32 bytes = 4;
  for (; *at == 0x66 || *at == 0x2e || *at == 0x3e || *at == 0x64 || *at == 0x65; ++at)
    if (*at == 0x66) bytes = 2;
  if ((*at & 0xf0) == 0x40 && *at++ & 8) bytes = 8;
  const u32 kind = at[1] >> 3 & 7;
  if ((*at != 0xf6 && *at != 0xf7) || kind < 6) return {0, 0, false};
  if (*at == 0xf6) bytes = 1;
  return {bytes, u32(at - start) + 1 + operand_length(at + 1), kind == 7};
}

// Whether a dividend, as wide as the operand, is the least integer.
bool is_least(u64 dividend, u32 bytes) { return dividend << (64 - 8 * bytes) == 1ull << 63; }

void step_over(u8* context, Division division) {
  u64& rax = saved<u64>(context, saved_rax);
  u64& rdx = saved<u64>(context, saved_rdx);
  const u64 dividend = division.bytes == 1 ? u64(u8(rax)) : rax;
  const bool overflows = division.is_signed && is_least(dividend, division.bytes);
  const u64 quotient = overflows ? dividend : 0, remainder = overflows ? 0 : dividend;
  switch (division.bytes) {
    case 1: rax = (rax & ~0xffffull) | (remainder & 0xff) << 8 | (quotient & 0xff); break;
    case 2:
      rax = (rax & ~0xffffull) | (quotient & 0xffff);
      rdx = (rdx & ~0xffffull) | (remainder & 0xffff);
      break;
    case 4: rax = u32(quotient), rdx = u32(remainder); break;
    default: rax = quotient, rdx = remainder;
  }
  saved<u64>(context, saved_rip) += division.length;
}

void on_division(int number, void*, u8* context) {
  const Division division = division_at(saved<const u8*>(context, saved_rip));
  if (division.bytes && (divisions.everywhere || __atomic_load_n(&divisions.running, __ATOMIC_RELAXED)))
    return step_over(context, division);
  // Not ours: it comes again, to whom it went before; one who sends it back here is passed over.
  DivisionAction usual = {};
  if (++division_strangers <= 1) usual = former_division_action;
  sigaction(number, &usual, nullptr);
}

}  // namespace

// Before every launch: another runtime, such as the sanitizer's, may have put its own in place since.
inline void survive_divisions() {
  DivisionAction now = {};
  sigaction(signal_division, nullptr, &now);
  if (now.handler == on_division) return;
  former_division_action = now;
  division_strangers = 0;
  DivisionAction action = {};
  action.handler = on_division;
  action.flags = 0x4 | 0x08000000;  // with information, on the alternate stack if there is one
  sigaction(signal_division, &action, nullptr);
}
#else
inline void survive_divisions() {}
#endif

}  // namespace mf

extern "C" MF_EXPORT void mf_survive_all_divisions() { mf::divisions.everywhere = 1; }
