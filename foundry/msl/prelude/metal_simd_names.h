// MSL 2.2:
// <simd/simd.h>: the names that headers shared with C, Objective-C and Swift use for Metal's types.
#pragma once
#pragma clang system_header

#include "metal_matrix.h"
#include "metal_packed.h"

#define MF_SIMD_VECTOR(T, N)                   \
  using simd_##T##N = metal::vec<T, N>;        \
  using vector_##T##N = metal::vec<T, N>;      \
  using simd_packed_##T##N = metal::packed_vec<T, N>; \
  namespace simd {                             \
  using T##N = metal::vec<T, N>;               \
  using packed_##T##N = metal::packed_vec<T, N>; \
  }
#define MF_SIMD_VECTORS(T) MF_SIMD_VECTOR(T, 2) MF_SIMD_VECTOR(T, 3) MF_SIMD_VECTOR(T, 4)
MF_SIMD_VECTORS(char)
MF_SIMD_VECTORS(uchar)
MF_SIMD_VECTORS(short)
MF_SIMD_VECTORS(ushort)
MF_SIMD_VECTORS(int)
MF_SIMD_VECTORS(uint)
MF_SIMD_VECTORS(long)
MF_SIMD_VECTORS(ulong)
MF_SIMD_VECTORS(half)
MF_SIMD_VECTORS(float)
#undef MF_SIMD_VECTORS
#undef MF_SIMD_VECTOR

#define MF_SIMD_MATRIX(T, C, R)                    \
  using simd_##T##C##x##R = metal::matrix<T, C, R>;   \
  using matrix_##T##C##x##R = metal::matrix<T, C, R>; \
  namespace simd {                                 \
  using T##C##x##R = metal::matrix<T, C, R>;       \
  }
#define MF_SIMD_MATRICES(T)                                                     \
  MF_SIMD_MATRIX(T, 2, 2) MF_SIMD_MATRIX(T, 2, 3) MF_SIMD_MATRIX(T, 2, 4)       \
  MF_SIMD_MATRIX(T, 3, 2) MF_SIMD_MATRIX(T, 3, 3) MF_SIMD_MATRIX(T, 3, 4)       \
  MF_SIMD_MATRIX(T, 4, 2) MF_SIMD_MATRIX(T, 4, 3) MF_SIMD_MATRIX(T, 4, 4)
MF_SIMD_MATRICES(half)
MF_SIMD_MATRICES(float)
#undef MF_SIMD_MATRICES
#undef MF_SIMD_MATRIX
