// The Metal Shading Language for clang: everything a kernel's source may name.
//
// 1. target.h          threads, SIMD-group exchange, barriers: one file per target
// 2. metal_*.h         the language and its standard library, in namespace metal
// 3. mlx_*.h           the names MLX's own preamble adds
//
// The words device, thread, constant, ... become macros after this file: no header trips on them.
//
// Values are Metal's: half is _Float16, bfloat a class, float3 takes 16 bytes, comparison of
// vectors gives bool vectors, a swizzle is a vector. docs/metal-support.md lists what is covered.
#pragma once
#pragma clang system_header

#include "target.h"

#include "metal_scalar.h"

#include "metal_array.h"
#include "metal_traits.h"
#include "metal_vector.h"

#include "metal_math.h"
#include "metal_math_parts.h"

#include "metal_common.h"
#include "metal_integer.h"
#include "metal_relational.h"

#include "metal_geometric.h"
#include "metal_matrix.h"
#include "metal_pack.h"
#include "metal_packed.h"

#include "metal_beside.h"
#include "metal_precision.h"

#include "metal_atomic.h"
#include "metal_compute.h"
#include "metal_quadgroup.h"
#include "metal_simdgroup.h"
#include "metal_simdgroup_matrix.h"
#include "metal_simd_names.h"

#include "metal_global_names.h"
#include "metal_logging.h"

// A .metal file starts with Metal's own names alone, and without `using namespace metal`.
#if !MF_WHOLE_FILE
using namespace metal;

#include "mlx_utils.h"
#endif

#include "functions.h"
