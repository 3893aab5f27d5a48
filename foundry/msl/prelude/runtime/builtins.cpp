// What clang calls on its own for copies and for conversions that the processor lacks. Kernels are
// linked against the runtime alone, so it has them all.
#include "../target.h"
#include "launch.h"

#define MF_NO_BUILTIN __attribute__((no_builtin("memcpy", "memmove", "memset", "memcmp", "bzero", "__bzero")))

namespace mf {
namespace {

// Round to nearest even of a double to a format with this many exponent and fraction bits.
u16 narrow(double value, int exponent_bits, int fraction_bits) {
  const u64 bits = __builtin_bit_cast(u64, value);
  const u16 sign = u16(bits >> 63 << 15);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const u16 infinity = u16(((1 << exponent_bits) - 1) << fraction_bits);
  const u64 magnitude = bits & ~(1ull << 63);
  if (magnitude > 0x7ffull << 52) return sign | infinity | u16(1 << (fraction_bits - 1));
  int exponent = int(magnitude >> 52) - 1023 + bias;
  u64 fraction = magnitude & ((1ull << 52) - 1);
  int drop = 52 - fraction_bits;
  if (exponent <= 0) {  // denormal in the result
    fraction |= magnitude >> 52 ? 1ull << 52 : 0;
    drop += 1 - exponent;
    exponent = 0;
    if (drop > 62) return sign;
  }
  if (exponent >= (1 << exponent_bits) - 1) return sign | infinity;
  const u64 whole = (u64(exponent) << fraction_bits) + (fraction >> drop);
  const u64 rest = fraction & ((1ull << drop) - 1), half = 1ull << (drop - 1);
  return u16(sign | u16(whole + (rest > half || (rest == half && (whole & 1)))));
}

float widen_half(u16 bits) {
  const u32 sign = u32(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return __builtin_bit_cast(float, sign | 0x7f800000u | fraction << 13);
  if (exponent) return __builtin_bit_cast(float, sign | (exponent + 112) << 23 | fraction << 13);
  const float tiny = float(int(fraction)) * 0x1p-24f;
  return sign ? -tiny : tiny;
}

typedef u8 Sixteen __attribute__((vector_size(16), aligned(1), may_alias));

// The compiler knows this loop, and for a Mac it would write it as a call of `bzero`: in `bzero`
// itself that never ends. What may touch memory between two stores keeps the loop a loop.
inline void fill(void* to, Sixteen value, __SIZE_TYPE__ bytes) {
  u8* at = static_cast<u8*>(to);
  for (; bytes >= 16; bytes -= 16, at += 16) {
    *reinterpret_cast<Sixteen*>(at) = value;
    asm volatile("" ::: "memory");
  }
  for (__SIZE_TYPE__ i = 0; i < bytes; ++i) {
    at[i] = value[i];
    asm volatile("" ::: "memory");
  }
}

}  // namespace
}  // namespace mf

extern "C" {

MF_EXPORT MF_NO_BUILTIN void* memcpy(void* to, const void* from, __SIZE_TYPE__ bytes) {
  for (__SIZE_TYPE__ i = 0; i < bytes; ++i) static_cast<char*>(to)[i] = static_cast<const char*>(from)[i];
  return to;
}

MF_EXPORT MF_NO_BUILTIN void* memmove(void* to, const void* from, __SIZE_TYPE__ bytes) {
  char* a = static_cast<char*>(to);
  const char* b = static_cast<const char*>(from);
  if (a < b)
    for (__SIZE_TYPE__ i = 0; i < bytes; ++i) a[i] = b[i];
  else
    for (__SIZE_TYPE__ i = bytes; i > 0; --i) a[i - 1] = b[i - 1];
  return to;
}

MF_EXPORT MF_NO_BUILTIN void* memset(void* to, int value, __SIZE_TYPE__ bytes) {
  mf::fill(to, mf::Sixteen{} + mf::u8(value), bytes);
  return to;
}

#if defined(__APPLE__)
// Fills as the compiler writes them for a Mac.
MF_EXPORT MF_NO_BUILTIN void bzero(void* to, __SIZE_TYPE__ bytes) { mf::fill(to, {}, bytes); }
MF_EXPORT MF_NO_BUILTIN void __bzero(void* to, __SIZE_TYPE__ bytes) { mf::fill(to, {}, bytes); }

#define MF_FILL(name, period)                                                                   \
  MF_EXPORT MF_NO_BUILTIN void name(void* to, const void* pattern, __SIZE_TYPE__ bytes) {       \
    mf::Sixteen value;                                                                          \
    for (int i = 0; i < 16; ++i) value[i] = static_cast<const mf::u8*>(pattern)[i % period];    \
    mf::fill(to, value, bytes);                                                                 \
  }
MF_FILL(memset_pattern4, 4)
MF_FILL(memset_pattern8, 8)
MF_FILL(memset_pattern16, 16)
#undef MF_FILL
#endif

MF_EXPORT MF_NO_BUILTIN int memcmp(const void* a, const void* b, __SIZE_TYPE__ bytes) {
  for (__SIZE_TYPE__ i = 0; i < bytes; ++i) {
    int order = int(static_cast<const mf::u8*>(a)[i]) - int(static_cast<const mf::u8*>(b)[i]);
    if (order) return order;
  }
  return 0;
}

MF_EXPORT MF_NO_BUILTIN int bcmp(const void* a, const void* b, __SIZE_TYPE__ bytes) {
  return memcmp(a, b, bytes);
}

MF_EXPORT float __extendhfsf2(_Float16 value) {
  return mf::widen_half(__builtin_bit_cast(mf::u16, value));
}
MF_EXPORT double __extendhfdf2(_Float16 value) {
  return mf::widen_half(__builtin_bit_cast(mf::u16, value));
}
MF_EXPORT _Float16 __truncsfhf2(float value) {
  return __builtin_bit_cast(_Float16, mf::narrow(value, 5, 10));
}
MF_EXPORT _Float16 __truncdfhf2(double value) {
  return __builtin_bit_cast(_Float16, mf::narrow(value, 5, 10));
}
MF_EXPORT __bf16 __truncsfbf2(float value) {
  return __builtin_bit_cast(__bf16, mf::narrow(value, 8, 7));
}
MF_EXPORT __bf16 __truncdfbf2(double value) {
  return __builtin_bit_cast(__bf16, mf::narrow(value, 8, 7));
}

}
