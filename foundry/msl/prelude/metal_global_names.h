// What a .metal file may name without `using namespace metal`: Apple's compiler has scalars and
// vectors built in. As members of the namespace they may be named too: `using metal::uint;`.
#pragma once
#pragma clang system_header

#include "metal_packed.h"

namespace metal {
using ::bfloat;
using ::half;
using ::int16_t;
using ::int32_t;
using ::int64_t;
using ::int8_t;
using ::ptrdiff_t;
using ::size_t;
using ::uchar;
using ::uint;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;
using ::uint8_t;
using ::ulong;
using ::ushort;
}  // namespace metal

#if MF_WHOLE_FILE
#define MF_GLOBAL_NAMES(T)     \
  using metal::T##2;           \
  using metal::T##3;           \
  using metal::T##4;           \
  using metal::packed_##T##2;  \
  using metal::packed_##T##3;  \
  using metal::packed_##T##4;
MF_GLOBAL_NAMES(char)
MF_GLOBAL_NAMES(uchar)
MF_GLOBAL_NAMES(short)
MF_GLOBAL_NAMES(ushort)
MF_GLOBAL_NAMES(int)
MF_GLOBAL_NAMES(uint)
MF_GLOBAL_NAMES(long)
MF_GLOBAL_NAMES(ulong)
MF_GLOBAL_NAMES(half)
MF_GLOBAL_NAMES(bfloat)
MF_GLOBAL_NAMES(float)
#undef MF_GLOBAL_NAMES
using metal::bool2;
using metal::bool3;
using metal::bool4;
#endif
