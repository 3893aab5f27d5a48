// The thread attributes, each from where the thread is and how the grid was launched.
#pragma once

#include "launch.h"

namespace mf::attribute {

using uint3 = metal::vec<unsigned, 3>;

MF_INLINE uint3 triple(const u32 (&v)[3]) { return uint3(v[0], v[1], v[2]); }
MF_INLINE u32 volume(const u32 (&v)[3]) { return v[0] * v[1] * v[2]; }
MF_INLINE u32 ceil_divide(u32 a, u32 b) { return (a + b - 1) / b; }

#define MF_ATTRIBUTE(type, name, value)                            \
  MF_INLINE type name(const Launch& launch, const Position& at) {  \
    (void)launch, (void)at;                                        \
    return value;                                                  \
  }

MF_ATTRIBUTE(u32, dispatch_quadgroups_per_threadgroup, ceil_divide(volume(launch.group), 4))
MF_ATTRIBUTE(u32, dispatch_simdgroups_per_threadgroup, ceil_divide(volume(launch.group), 32))
MF_ATTRIBUTE(uint3, dispatch_threads_per_threadgroup, triple(launch.group))
MF_ATTRIBUTE(uint3, grid_origin, uint3(0u, 0u, 0u))
MF_ATTRIBUTE(uint3, grid_size, triple(launch.grid))
MF_ATTRIBUTE(u32, quadgroup_index_in_threadgroup, at.index / 4)
MF_ATTRIBUTE(u32, quadgroups_per_threadgroup, ceil_divide(volume(at.size), 4))
MF_ATTRIBUTE(u32, simdgroup_index_in_threadgroup, at.index / 32)
MF_ATTRIBUTE(u32, simdgroups_per_threadgroup, ceil_divide(volume(at.size), 32))
MF_ATTRIBUTE(u32, thread_execution_width, 32)
MF_ATTRIBUTE(u32, thread_index_in_quadgroup, at.index % 4)
MF_ATTRIBUTE(u32, thread_index_in_simdgroup, at.index % 32)
MF_ATTRIBUTE(u32, thread_index_in_threadgroup, at.index)
MF_ATTRIBUTE(uint3, thread_position_in_grid,
             uint3(at.group[0] * launch.group[0] + at.local[0],
                   at.group[1] * launch.group[1] + at.local[1],
                   at.group[2] * launch.group[2] + at.local[2]))
MF_ATTRIBUTE(uint3, thread_position_in_threadgroup, triple(at.local))
MF_ATTRIBUTE(uint3, threadgroup_position_in_grid, triple(at.group))
MF_ATTRIBUTE(uint3, threadgroups_per_grid, triple(launch.groups))
MF_ATTRIBUTE(uint3, threads_per_grid, triple(launch.grid))
MF_ATTRIBUTE(u32, threads_per_simdgroup, 32)
MF_ATTRIBUTE(uint3, threads_per_threadgroup, triple(at.size))

#undef MF_ATTRIBUTE

// An attribute as the parameter has it: of fewer components, or of 16 bits each.
template <typename T>
struct As {
  static_assert(__is_same(T, u32) || __is_same(T, u16), "the type is not valid for the attribute");
  static MF_INLINE T of(u32 value) { return T(value); }
  static MF_INLINE T of(uint3 value) { return T(value.x); }
};
template <typename T>
struct As<metal::vec<T, 2>> {
  static MF_INLINE metal::vec<T, 2> of(uint3 value) { return {T(value.x), T(value.y)}; }
};
template <typename T>
struct As<metal::vec<T, 3>> {
  static MF_INLINE metal::vec<T, 3> of(uint3 value) { return {T(value.x), T(value.y), T(value.z)}; }
};
template <typename T>
MF_INLINE T as(u32 value) {
  return As<__remove_cv(T)>::of(value);
}
template <typename T>
MF_INLINE T as(uint3 value) {
  return As<__remove_cv(T)>::of(value);
}

}  // namespace mf::attribute
