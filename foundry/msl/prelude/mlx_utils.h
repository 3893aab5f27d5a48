// The names MLX's preamble defines beside complex_t: limits, element locations, helpers.
#pragma once
#pragma clang system_header

#include "metal_logging.h"
#include "metal_simdgroup.h"
#include "mlx_complex.h"

#define MTL_CONST MF_CONSTANT
#define instantiate_kernel(name, func, ...) template decltype(func<__VA_ARGS__>) func<__VA_ARGS__>;
#define MLX_MTL_PRAGMA_UNROLL _Pragma("clang loop unroll(full)")

inline constexpr int MAX_REDUCE_SPECIALIZED_DIMS = 4;
inline constexpr int REDUCE_N_READS = 4;
inline constexpr int REDUCE_N_WRITES = 4;
inline constexpr int SOFTMAX_N_READS = 4;
inline constexpr int RMS_N_READS = 4;
inline constexpr int RMS_LOOPED_LIMIT = 4096;
inline constexpr int CROSS_ENTROPY_N_READS = 4;

MF_FN uint16_t bfloat16_to_uint16(const bfloat16_t x) { return as_type<uint16_t>(x); }
MF_FN bfloat16_t uint16_to_bfloat16(const uint16_t x) { return as_type<bfloat16_t>(x); }

namespace mlx {
using os_log = metal::os_log;
}

template <typename U>
struct WorkPerThread {
  static_assert(sizeof(U) <= 8, "Type too large");
  static constexpr int n = 8 / sizeof(U);
};

// Infinite bounds for floating-point types, the type's own for integers.
template <typename U>
struct Limits {
  static constexpr bool mf_floating = mf::is_float_like<U>;
  static constexpr U finite_max = metal::numeric_limits<U>::max();
  static constexpr U finite_min = metal::numeric_limits<U>::lowest();
  static constexpr U max = mf_floating ? metal::numeric_limits<U>::infinity() : finite_max;
  static constexpr U min = mf_floating ? U(-metal::numeric_limits<U>::infinity()) : finite_min;
};
template <>
struct Limits<bool> {
  static constexpr bool max = true;
  static constexpr bool min = false;
};
template <typename T>
struct Limits<complex_t<T>> {
  static constexpr complex_t<T> max = complex_t<T>(Limits<T>::max, Limits<T>::max);
  static constexpr complex_t<T> min = complex_t<T>(Limits<T>::min, Limits<T>::min);
};

// Offset, in elements, of the element with row-major index `elem`.
template <typename IdxT = int64_t>
MF_FN IdxT elem_to_loc(IdxT elem, MF_CONSTANT int* shape, MF_CONSTANT int64_t* strides, int ndim) {
  IdxT loc = 0;
  for (int d = ndim - 1; d >= 0 && elem > 0; --d) {
    loc += (elem % shape[d]) * IdxT(strides[d]);
    elem /= shape[d];
  }
  return loc;
}
// The same for an index whose two innermost axes are apart: x innermost, y next, z the rest.
template <typename IdxT = int64_t>
MF_FN IdxT elem_to_loc(uint3 elem, MF_CONSTANT int* shape, MF_CONSTANT int64_t* strides, int ndim) {
  IdxT loc = IdxT(elem.x) * IdxT(strides[ndim - 1]) + IdxT(elem.y) * IdxT(strides[ndim - 2]);
  uint rest = elem.z;
  for (int d = ndim - 3; d >= 0; --d) {
    loc += IdxT(rest % shape[d]) * IdxT(strides[d]);
    rest /= shape[d];
  }
  return loc;
}
template <typename IdxT = int64_t>
MF_FN IdxT elem_to_loc_1(uint elem, MF_CONSTANT int64_t& stride) {
  return IdxT(elem) * IdxT(stride);
}
template <typename IdxT = int64_t>
MF_FN IdxT elem_to_loc_2(uint2 elem, MF_CONSTANT int64_t* strides) {
  return IdxT(elem.x) * IdxT(strides[1]) + IdxT(elem.y) * IdxT(strides[0]);
}
template <typename IdxT = int64_t>
MF_FN IdxT elem_to_loc_3(uint3 elem, MF_CONSTANT int64_t* strides) {
  return IdxT(elem.x) * IdxT(strides[2]) + IdxT(elem.y) * IdxT(strides[1]) +
         IdxT(elem.z) * IdxT(strides[0]);
}
template <typename IdxT = int64_t>
MF_FN metal::vec<IdxT, 2> elem_to_loc_2_nd(uint3 elem, MF_CONSTANT int* shape, MF_CONSTANT int64_t* a_strides,
                                           MF_CONSTANT int64_t* b_strides, int ndim) {
  return {elem_to_loc<IdxT>(elem, shape, a_strides, ndim),
          elem_to_loc<IdxT>(elem, shape, b_strides, ndim)};
}
template <typename IdxT = int64_t>
MF_FN metal::vec<IdxT, 3> elem_to_loc_3_nd(uint3 elem, MF_CONSTANT int* shape, MF_CONSTANT int64_t* a_strides,
                                           MF_CONSTANT int64_t* b_strides, MF_CONSTANT int64_t* c_strides,
                                           int ndim) {
  return {elem_to_loc<IdxT>(elem, shape, a_strides, ndim),
          elem_to_loc<IdxT>(elem, shape, b_strides, ndim),
          elem_to_loc<IdxT>(elem, shape, c_strides, ndim)};
}

// Walks the innermost axes and keeps the offset as it goes; DIM is a lower bound of `dim`.
template <int DIM, typename OffsetT = size_t, bool General = true>
struct LoopedElemToLoc {
  int dim;
  LoopedElemToLoc<DIM - 1, OffsetT, General> inner_looper;
  OffsetT offset{0};
  int index{0};

  LoopedElemToLoc(int axes) : dim(axes), inner_looper(axes - 1) {}

  void next(MF_CONSTANT int* shape, MF_CONSTANT int64_t* strides) { next(1, shape, strides); }
  void next(int n, MF_CONSTANT int* shape, MF_CONSTANT int64_t* strides) {
    if (dim == 0) return;
    index += n;
    offset += n * OffsetT(strides[dim - 1]);
    const int size = shape[dim - 1];
    if (index < size) return;
    inner_looper.next(index / size, shape, strides);
    index %= size;
    offset = inner_looper.offset + index * OffsetT(strides[dim - 1]);
  }
  OffsetT location() { return offset; }
};
template <typename OffsetT>
struct LoopedElemToLoc<1, OffsetT, true> {
  int dim;
  OffsetT offset{0};
  uint index{0};

  LoopedElemToLoc(int axes) : dim(axes) {}

  void next(MF_CONSTANT int* shape, MF_CONSTANT int64_t* strides) { next(1, shape, strides); }
  void next(int n, MF_CONSTANT int* shape, MF_CONSTANT int64_t* strides) {
    index += n;
    offset = dim > 1 ? elem_to_loc<OffsetT>(index, shape, strides, dim)
                     : OffsetT(index) * OffsetT(strides[0]);
  }
  OffsetT location() { return offset; }
};
template <typename OffsetT>
struct LoopedElemToLoc<1, OffsetT, false> {
  OffsetT offset{0};

  LoopedElemToLoc(int) {}

  void next(MF_CONSTANT int*, MF_CONSTANT int64_t* strides) { offset += OffsetT(strides[0]); }
  void next(int n, MF_CONSTANT int*, MF_CONSTANT int64_t* strides) { offset += n * OffsetT(strides[0]); }
  OffsetT location() { return offset; }
};

template <typename T, typename U>
MF_FN constexpr T ceildiv(T n, U m) {
  return (n + m - 1) / m;
}

// log(1 + x), by the correction of log(u) for the rounding of u = 1 + x.
MF_FN float log1p(float x) {
  float u = 1.0f + x;
  if (u == INFINITY) return INFINITY;
  return u == 1.0f ? x : x * (metal::log(u) / (u - 1.0f));
}
MF_FN bfloat16_t log1p(bfloat16_t x) { return bfloat16_t(log1p(float(x))); }
inline complex64_t log1p(complex64_t v) {
  float x = v.real, y = v.imag;
  float theta = metal::atan2(y, x + 1.0f);
  if (metal::sqrt(x * x + y * y) < 0.5f) {
    float r = x * (2.0f + x) + y * y;
    return r == 0.0f ? complex64_t(x, theta) : complex64_t(0.5f * log1p(r), theta);
  }
  return {metal::log(metal::sqrt((x + 1.0f) * (x + 1.0f) + y * y)), theta};
}
MF_FN float hypot(float x, float y) {
  if (metal::isinf(x) || metal::isinf(y)) return INFINITY;
  float a = metal::abs(x), b = metal::abs(y);
  float top = a < b ? b : a, low = a < b ? a : b;
  if (!(top > 0.0f)) return a + b;  // both zero, or NaN
  float q = low / top;
  return top * metal::sqrt(1.0f + q * q);
}

template <bool condition, typename T, typename U>
struct ConditionalType {
  using type = metal::conditional_t<condition, T, U>;
};

template <typename U, typename T>
MF_FN U cast_to(T v) {
  return static_cast<U>(v);
}
template <>
MF_FN bool cast_to<bool, complex64_t>(complex64_t v) {
  return v.real != 0.0f || v.imag != 0.0f;
}

// Wider than 32 bits, or bool: Metal itself shuffles neither.
#define MF_WIDE_SHUFFLE(name)                                                                 \
  MF_FN uint64_t name(uint64_t v, uint16_t n) {                                               \
    return as_type<uint64_t>(metal::name(as_type<metal::uint2>(v), n));         \
  }                                                                                           \
  MF_FN int64_t name(int64_t v, uint16_t n) {                                                 \
    return as_type<int64_t>(metal::name(as_type<metal::uint2>(v), n));          \
  }                                                                                           \
  MF_FN bool name(bool v, uint16_t n) { return metal::name(static_cast<uint>(v), n); }
MF_WIDE_SHUFFLE(simd_shuffle)
MF_WIDE_SHUFFLE(simd_shuffle_up)
MF_WIDE_SHUFFLE(simd_shuffle_down)
#undef MF_WIDE_SHUFFLE
MF_FN uint64_t simd_shuffle_and_fill_up(uint64_t v, uint64_t fill, uint16_t n) {
  using metal::uint2;
  return as_type<uint64_t>(
      metal::simd_shuffle_and_fill_up(as_type<uint2>(v), as_type<uint2>(fill), n));
}
MF_FN int64_t simd_shuffle_and_fill_up(int64_t v, int64_t fill, uint16_t n) {
  using metal::uint2;
  return as_type<int64_t>(
      metal::simd_shuffle_and_fill_up(as_type<uint2>(v), as_type<uint2>(fill), n));
}
MF_FN bool simd_shuffle_and_fill_up(bool v, bool fill, uint16_t n) {
  return metal::simd_shuffle_and_fill_up(static_cast<uint>(v), static_cast<uint>(fill), n);
}

#define MF_COMPLEX_SHUFFLE(name)                                                              \
  MF_FN complex64_t name(complex64_t v, uint16_t n) {                                         \
    return {metal::name(v.real, n), metal::name(v.imag, n)};                                  \
  }
MF_COMPLEX_SHUFFLE(simd_shuffle)
MF_COMPLEX_SHUFFLE(simd_shuffle_up)
MF_COMPLEX_SHUFFLE(simd_shuffle_down)
#undef MF_COMPLEX_SHUFFLE
MF_FN complex64_t simd_shuffle_and_fill_up(complex64_t v, complex64_t fill, uint16_t n) {
  return {metal::simd_shuffle_and_fill_up(v.real, fill.real, n),
          metal::simd_shuffle_and_fill_up(v.imag, fill.imag, n)};
}

// Which group of rows a tile of BM rows belongs to; false past the last tile.
template <int BM>
MF_FN bool schedule_row_tile(const int32_t* offsets, const int num_groups, const int M,
                             const int tile, const uint simd_lane_id, int& row, int& group,
                             short& rows) {
  int before = 0;
  for (int first = 0; first < num_groups; first += 32) {
    const int g = first + int(simd_lane_id);
    const int start = g < num_groups ? offsets[g] : M;
    const int end = g + 1 < num_groups ? offsets[g + 1] : M;
    const int tiles = (end - start + BM - 1) / BM;
    const int through = before + metal::simd_prefix_inclusive_sum(tiles);
    const ushort owner = ushort(metal::simd_sum(int(through <= tile)));
    if (owner < 32) {
      group = first + owner;
      row = metal::simd_shuffle(start, owner) +
            (tile - metal::simd_shuffle(through - tiles, owner)) * BM;
      rows = short(metal::min(BM, metal::simd_shuffle(end, owner) - row));
      return true;
    }
    before = metal::simd_shuffle(through, ushort(31));
  }
  return false;
}
