// MSL 6.7, <metal_simdgroup_matrix>: 8x8 matrices spread over the lanes of a SIMD-group.
//
// Every lane holds two neighbours of one row, laid out as on Apple's GPUs: lane bits 4, 2, 1 give
// the row, bits 3, 0 the pair of columns. Sums are kept in float and rounded to the result once.
#pragma once
#pragma clang system_header

#include "metal_simdgroup.h"

namespace mf {

MF_FN constexpr uint matrix_row(uint lane) { return ((lane >> 4) & 1u) * 4u + ((lane >> 1) & 3u); }
MF_FN constexpr uint matrix_column(uint lane) {
  return ((lane >> 3) & 1u) * 4u + (lane & 1u) * 2u;
}
// Replaces the pairs of a in xy and b in zw, one slot a lane, by the pairs of a b in xy.
inline __attribute__((noinline)) void multiply_pairs(metal::float4* slots) {
  using row = ext<float, 8>;
  float left[8][8];
  row right[8], product[8];
  for (uint lane = 0; lane < 32; ++lane) {
    const uint r = matrix_row(lane), c = matrix_column(lane);
    left[r][c] = slots[lane].d[0];
    left[r][c + 1] = slots[lane].d[1];
    right[r][c] = slots[lane].d[2];
    right[r][c + 1] = slots[lane].d[3];
  }
  for (uint r = 0; r < 8; ++r) {
    product[r] = left[r][0] * right[0];
    for (uint k = 1; k < 8; ++k) product[r] += left[r][k] * right[k];
  }
  for (uint lane = 0; lane < 32; ++lane) {
    const uint r = matrix_row(lane), c = matrix_column(lane);
    slots[lane].d[0] = product[r][c];
    slots[lane].d[1] = product[r][c + 1];
  }
}

#if !MF_GPU
// Kept out of line: unrolled kernels hold hundreds of products.
inline __attribute__((noinline)) metal::float4 multiply_lanes(metal::float4 pairs) {
  return simd_transform(pairs, [](metal::float4* slots, unsigned) { multiply_pairs(slots); });
}
#endif

// Every lane must take part in an operation on matrices: a sanitised kernel makes sure of it.
MF_FN void meet_whole_group() {
#if MF_SANITIZE
  unsigned active;
  simd_exchange(0, active);
  mf_note_whole(active);
#endif
}

}  // namespace mf

namespace metal {

template <typename T, int Cols, int Rows = Cols>
struct simdgroup_matrix {
  static_assert(Cols == 8 && Rows == 8, "Metal has SIMD-group matrices of 8x8 alone");
  static_assert(mf::is_float_like<T>, "SIMD-group matrices hold float, half or bfloat");
  using storage_type = vec<T, 2>;

  simdgroup_matrix() = default;
  // The value fills the diagonal.
  MF_FN explicit simdgroup_matrix(T diagonal) {
    const uint row = mf::matrix_row(mf::lane()), column = mf::matrix_column(mf::lane());
    mf_pair = storage_type(row == column ? diagonal : T(0), row == column + 1 ? diagonal : T(0));
  }
  MF_FN storage_type& thread_elements() { return mf_pair; }
  MF_FN const storage_type& thread_elements() const { return mf_pair; }

  friend MF_FN simdgroup_matrix operator*(simdgroup_matrix a, simdgroup_matrix b) {
    simdgroup_matrix r;
    simdgroup_multiply(r, a, b);
    return r;
  }

  storage_type mf_pair;
};

using simdgroup_float8x8 = simdgroup_matrix<float, 8, 8>;
using simdgroup_half8x8 = simdgroup_matrix<half, 8, 8>;
using simdgroup_bfloat8x8 = simdgroup_matrix<bfloat, 8, 8>;

template <typename T, int Cols, int Rows = Cols>
MF_FN simdgroup_matrix<T, Cols, Rows> make_filled_simdgroup_matrix(type_identity_t<T> v) {
  simdgroup_matrix<T, Cols, Rows> m;
  m.mf_pair = vec<T, 2>(v);
  return m;
}
template <typename T>
MF_FN simdgroup_matrix<T, 8, 8> make_diagonal_simdgroup_matrix(T v) {
  return simdgroup_matrix<T, 8, 8>(v);
}

#if MF_DECLARED
#define MF_MATRIX_MEMORY(SPACE)                                                                 \
  template <typename T>                                                                         \
  void simdgroup_load(simdgroup_matrix<T, 8, 8>& m, const SPACE T* source,                      \
                      ulong elements_per_row = 8, ulong2 origin = ulong2(0, 0),                 \
                      bool transposed = false);                                                 \
  template <typename T>                                                                         \
  void simdgroup_store(simdgroup_matrix<T, 8, 8> m, SPACE T* target,                            \
                       ulong elements_per_row = 8, ulong2 origin = ulong2(0, 0),                \
                       bool transposed = false);
MF_MATRIX_MEMORY(MF_DEVICE)
MF_MATRIX_MEMORY(MF_THREADGROUP)
#undef MF_MATRIX_MEMORY
#else
template <typename T, typename P>
MF_FN void simdgroup_load(simdgroup_matrix<T, 8, 8>& m, const P* source,
                          ulong elements_per_row = 8, ulong2 origin = ulong2(0, 0),
                          bool transposed = false) {
  static_assert(__is_same(remove_cv_t<P>, T), "matrix and memory hold the same type");
  mf::meet_whole_group();
  const ulong row = mf::matrix_row(mf::lane()), column = mf::matrix_column(mf::lane());
  const P* at = source + origin.y * elements_per_row + origin.x;
  const ulong down = transposed ? 1 : elements_per_row, right = transposed ? elements_per_row : 1;
  at += row * down + column * right;
  if (transposed)
    m.mf_pair = vec<T, 2>(at[0], at[right]);
  else
    __builtin_memcpy(&m.mf_pair, at, 2 * sizeof(T));  // neighbours: one access
}
template <typename T>
MF_FN void simdgroup_store(simdgroup_matrix<T, 8, 8> m, T* target, ulong elements_per_row = 8,
                           ulong2 origin = ulong2(0, 0), bool transposed = false) {
  mf::meet_whole_group();
  const ulong row = mf::matrix_row(mf::lane()), column = mf::matrix_column(mf::lane());
  T* at = target + origin.y * elements_per_row + origin.x;
  const ulong down = transposed ? 1 : elements_per_row, right = transposed ? elements_per_row : 1;
  at += row * down + column * right;
  if (transposed) {
    at[0] = m.mf_pair.x;
    at[right] = m.mf_pair.y;
  } else {
    __builtin_memcpy(at, &m.mf_pair, 2 * sizeof(T));
  }
}
#endif

// d = a b + c
template <typename D, typename A, typename B, typename C>
MF_FN void simdgroup_multiply_accumulate(simdgroup_matrix<D, 8, 8>& d,
                                         simdgroup_matrix<A, 8, 8> a,
                                         simdgroup_matrix<B, 8, 8> b,
                                         simdgroup_matrix<C, 8, 8> c) {
  mf::meet_whole_group();
#if MF_GPU
  const float2 l(a.mf_pair), r(b.mf_pair), sum(c.mf_pair);
  const ulong made = mf::mf_gpu_multiply(l.x, l.y, r.x, r.y, sum.x, sum.y);
  d.mf_pair = vec<D, 2>(__builtin_bit_cast(float2, made));
#else
  const float4 pairs(float2(a.mf_pair), float2(b.mf_pair));
  const float4 product = mf::multiply_lanes(pairs);
  d.mf_pair = vec<D, 2>(product.xy + float2(c.mf_pair));
#endif
}
template <typename D, typename A, typename B>
MF_FN void simdgroup_multiply(simdgroup_matrix<D, 8, 8>& d, simdgroup_matrix<A, 8, 8> a,
                              simdgroup_matrix<B, 8, 8> b) {
  simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<float, 8, 8>(0.0f));
}

}  // namespace metal
