// MSL 8.4: metal::fast and metal::precise. One implementation serves both where the specification
// gives the fast one a bound of its own and no formula.
#pragma once
#pragma clang system_header

#include "metal_beside.h"
#include "metal_math_parts.h"
#include "metal_relational.h"

namespace metal {
#define MF_PRECISIONS                                                                            \
  MF_USE(abs) MF_USE(acos) MF_USE(asin) MF_USE(atan)   \
  MF_USE(ceil) MF_USE(clamp) MF_USE(copysign)                         \
  MF_USE(cospi) MF_USE(divide) MF_USE(exp) MF_USE(exp2) MF_USE(fabs) MF_USE(fdim)  \
  MF_USE(floor) MF_USE(fma) MF_USE(fmax) MF_USE(fmax3) MF_USE(fmedian3) MF_USE(fmin)             \
  MF_USE(fmin3) MF_USE(fmod) MF_USE(fract) MF_USE(log) MF_USE(log2) MF_USE(max)    \
  MF_USE(min) MF_USE(mix) MF_USE(powr) MF_USE(rint) MF_USE(round) MF_USE(rsqrt)      \
  MF_USE(saturate) MF_USE(sign) MF_USE(sinpi) MF_USE(smoothstep)                    \
  MF_USE(sqrt) MF_USE(step) MF_USE(tanpi) MF_USE(trunc)
#define MF_USE(name) using metal::name;
namespace fast {
MF_PRECISIONS
MF_FLAVOURED(MF_BY_FORMULA)
MF_SINCOS(sincos_fast)
#define MF_OF fast
MF_FLAVOURED_BESIDE
#undef MF_OF
}  // namespace fast
namespace precise {
MF_PRECISIONS
MF_FLAVOURED(MF_PRECISE)
MF_SINCOS(sincos)
#define MF_OF precise
MF_FLAVOURED_BESIDE
#undef MF_OF
}  // namespace precise
#undef MF_USE
#undef MF_PRECISIONS
}  // namespace metal
