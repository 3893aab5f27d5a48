// The runtime of counted kernels, one translation unit: the plain runtime with the counters. Its
// names keep a counted kernel from binding to another runtime in the same process.
#define MF_COUNT 1
#define mf_simd_wait mf_counted_simd_wait
#define mf_threadgroup_wait mf_counted_threadgroup_wait
#include "../runtime/builtins.cpp"
#include "../runtime/fibres.cpp"
#include "../runtime/pool.cpp"
#include "counters.cpp"
#include "gpu.cpp"
