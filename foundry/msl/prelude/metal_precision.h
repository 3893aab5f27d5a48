// metal::fast and metal::precise. One implementation serves both: it meets the precise bounds and
// is as fast as a shortened one would be on a CPU.
#pragma once
#pragma clang system_header

#include "metal_relational.h"

namespace metal {
#define MF_PRECISIONS                                                                            \
  MF_USE(abs) MF_USE(acos) MF_USE(acosh) MF_USE(asin) MF_USE(asinh) MF_USE(atan) MF_USE(atan2)   \
  MF_USE(atanh) MF_USE(ceil) MF_USE(clamp) MF_USE(copysign) MF_USE(cos) MF_USE(cosh)             \
  MF_USE(cospi) MF_USE(divide) MF_USE(exp) MF_USE(exp10) MF_USE(exp2) MF_USE(fabs) MF_USE(fdim)  \
  MF_USE(floor) MF_USE(fma) MF_USE(fmax) MF_USE(fmax3) MF_USE(fmedian3) MF_USE(fmin)             \
  MF_USE(fmin3) MF_USE(fmod) MF_USE(fract) MF_USE(log) MF_USE(log10) MF_USE(log2) MF_USE(max)    \
  MF_USE(min) MF_USE(mix) MF_USE(pow) MF_USE(powr) MF_USE(rint) MF_USE(round) MF_USE(rsqrt)      \
  MF_USE(saturate) MF_USE(sign) MF_USE(sin) MF_USE(sinh) MF_USE(sinpi) MF_USE(smoothstep)        \
  MF_USE(sqrt) MF_USE(step) MF_USE(tan) MF_USE(tanh) MF_USE(tanpi) MF_USE(trunc)
#define MF_USE(name) using metal::name;
namespace fast {
MF_PRECISIONS
}
namespace precise {
MF_PRECISIONS
}
#undef MF_USE
#undef MF_PRECISIONS
}  // namespace metal
