// MSL 2.1 and 6.5, scalar types and constants:
// Scalar types, address-space-neutral macros and the constants of <metal_limits> / <metal_math>.
#pragma once
#pragma clang system_header

#if MF_SANITIZE
#define MF_FN inline __attribute__((nodebug, always_inline))
#else
#define MF_FN inline __attribute__((always_inline))
#endif
#define METAL_FUNC inline __attribute__((always_inline))
#define METAL_CONST_FUNC inline __attribute__((always_inline))
#define METAL_INTERNAL inline __attribute__((always_inline))

#define __METAL__ 1
#define __HAVE_BFLOAT__ 1

#include "metal_bfloat.h"
#include "metal_spaces.h"

using half = _Float16;
using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;
using int8_t = signed char;
using uint8_t = unsigned char;
using int16_t = short;
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long;
using uint64_t = unsigned long;
using size_t = decltype(sizeof(0));
using ptrdiff_t = decltype(static_cast<char*>(nullptr) - static_cast<char*>(nullptr));
using intptr_t = long;
using uintptr_t = unsigned long;

static_assert(sizeof(long) == 8, "the Metal language has a 64-bit long");

// Literals such as 1.5h; the other spellings (1.5H, 1.5bf) are rewritten by the front end.
constexpr half operator""h(long double v) { return static_cast<half>(v); }
constexpr half operator""h(unsigned long long v) { return static_cast<half>(v); }

// A GPU stops on nothing.
#define assert(...) static_cast<void>(0)

#define CHAR_BIT 8
#define SCHAR_MAX 127
#define SCHAR_MIN (-128)
#define UCHAR_MAX 255
#define CHAR_MAX SCHAR_MAX
#define CHAR_MIN SCHAR_MIN
#define SHRT_MAX 32767
#define SHRT_MIN (-32768)
#define USHRT_MAX 65535
#define INT_MAX 2147483647
#define INT_MIN (-2147483647 - 1)
#define UINT_MAX 4294967295u
#define LONG_MAX 9223372036854775807L
#define LONG_MIN (-9223372036854775807L - 1)
#define ULONG_MAX 18446744073709551615UL
#define INT8_MAX SCHAR_MAX
#define INT8_MIN SCHAR_MIN
#define UINT8_MAX UCHAR_MAX
#define INT16_MAX SHRT_MAX
#define INT16_MIN SHRT_MIN
#define UINT16_MAX USHRT_MAX
#define INT32_MAX INT_MAX
#define INT32_MIN INT_MIN
#define UINT32_MAX UINT_MAX
#define INT64_MAX LONG_MAX
#define INT64_MIN LONG_MIN
#define UINT64_MAX ULONG_MAX
#define SIZE_MAX ULONG_MAX

#define MAXFLOAT 0x1.fffffep+127f
#define HUGE_VALF __builtin_huge_valf()
#define INFINITY __builtin_huge_valf()
#define NAN __builtin_nanf("")
#define FLT_DIG 6
#define FLT_MANT_DIG 24
#define FLT_MAX_10_EXP 38
#define FLT_MAX_EXP 128
#define FLT_MIN_10_EXP (-37)
#define FLT_MIN_EXP (-125)
#define FLT_RADIX 2
#define FLT_MAX 0x1.fffffep+127f
#define FLT_MIN 0x1.0p-126f
#define FLT_TRUE_MIN 0x1.0p-149f
#define FLT_DENORM_MIN 0x1.0p-149f
#define FLT_EPSILON 0x1.0p-23f
#define FLT_DECIMAL_DIG 9
#define FP_ILOGB0 (-2147483647 - 1)
#define FP_ILOGBNAN (-2147483647 - 1)

#define MAXHALF (static_cast<half>(0x1.ffcp+15f))
#define HUGE_VALH (static_cast<half>(__builtin_huge_valf()))
#define HALF_DIG 3
#define HALF_MANT_DIG 11
#define HALF_MAX_10_EXP 4
#define HALF_MAX_EXP 16
#define HALF_MIN_10_EXP (-4)
#define HALF_MIN_EXP (-13)
#define HALF_RADIX 2
#define HALF_MAX (static_cast<half>(0x1.ffcp+15f))
#define HALF_MIN (static_cast<half>(0x1.0p-14f))
#define HALF_TRUE_MIN (static_cast<half>(0x1.0p-24f))
#define HALF_DENORM_MIN (static_cast<half>(0x1.0p-24f))
#define HALF_EPSILON (static_cast<half>(0x1.0p-10f))
#define HALF_DECIMAL_DIG 5

#define MAXBFLOAT (static_cast<bfloat>(0x1.fep+127f))
#define HUGE_VALBF (static_cast<bfloat>(__builtin_huge_valf()))
#define BFLT_DIG 2
#define BFLT_MANT_DIG 8
#define BFLT_MAX_10_EXP 38
#define BFLT_MAX_EXP 128
#define BFLT_MIN_10_EXP (-37)
#define BFLT_MIN_EXP (-125)
#define BFLT_MAX (static_cast<bfloat>(0x1.fep+127f))
#define BFLT_MIN (static_cast<bfloat>(0x1.0p-126f))
#define BFLT_TRUE_MIN (static_cast<bfloat>(0x1.0p-133f))
#define BFLT_EPSILON (static_cast<bfloat>(0x1.0p-7f))
#define BFLT_DECIMAL_DIG 4

#define M_E_F 2.71828182845904523536028747135266250f
#define M_LOG2E_F 1.44269504088896340735992468100189214f
#define M_LOG10E_F 0.434294481903251827651128918916605082f
#define M_LN2_F 0.693147180559945309417232121458176568f
#define M_LN10_F 2.30258509299404568401799145468436421f
#define M_PI_F 3.14159265358979323846264338327950288f
#define M_PI_2_F 1.57079632679489661923132169163975144f
#define M_PI_4_F 0.785398163397448309615660845819875721f
#define M_1_PI_F 0.318309886183790671537767526745028724f
#define M_2_PI_F 0.636619772367581343075535053490057448f
#define M_2_SQRTPI_F 1.12837916709551257389615890312154517f
#define M_SQRT2_F 1.41421356237309504880168872420969808f
#define M_SQRT1_2_F 0.707106781186547524400844362104849039f

#define M_E_H (static_cast<half>(M_E_F))
#define M_LOG2E_H (static_cast<half>(M_LOG2E_F))
#define M_LOG10E_H (static_cast<half>(M_LOG10E_F))
#define M_LN2_H (static_cast<half>(M_LN2_F))
#define M_LN10_H (static_cast<half>(M_LN10_F))
#define M_PI_H (static_cast<half>(M_PI_F))
#define M_PI_2_H (static_cast<half>(M_PI_2_F))
#define M_PI_4_H (static_cast<half>(M_PI_4_F))
#define M_1_PI_H (static_cast<half>(M_1_PI_F))
#define M_2_PI_H (static_cast<half>(M_2_PI_F))
#define M_2_SQRTPI_H (static_cast<half>(M_2_SQRTPI_F))
#define M_SQRT2_H (static_cast<half>(M_SQRT2_F))
#define M_SQRT1_2_H (static_cast<half>(M_SQRT1_2_F))

#define M_E_BF (static_cast<bfloat>(M_E_F))
#define M_LOG2E_BF (static_cast<bfloat>(M_LOG2E_F))
#define M_LOG10E_BF (static_cast<bfloat>(M_LOG10E_F))
#define M_LN2_BF (static_cast<bfloat>(M_LN2_F))
#define M_LN10_BF (static_cast<bfloat>(M_LN10_F))
#define M_PI_BF (static_cast<bfloat>(M_PI_F))
#define M_PI_2_BF (static_cast<bfloat>(M_PI_2_F))
#define M_PI_4_BF (static_cast<bfloat>(M_PI_4_F))
#define M_1_PI_BF (static_cast<bfloat>(M_1_PI_F))
#define M_2_PI_BF (static_cast<bfloat>(M_2_PI_F))
#define M_2_SQRTPI_BF (static_cast<bfloat>(M_2_SQRTPI_F))
#define M_SQRT2_BF (static_cast<bfloat>(M_SQRT2_F))
#define M_SQRT1_2_BF (static_cast<bfloat>(M_SQRT1_2_F))
