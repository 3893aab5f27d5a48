// The target of the pass that reads a kernel as Metal would and runs nothing: the seam, declared.
// Address spaces are clang's own here, on a target where every space converts to the one without a
// name, so that objects are copied from anywhere; see build/metal_check.py.
#pragma once

#define MF_INLINE inline
#define MF_CONVERGENT

namespace mf {

using u32 = unsigned int;

unsigned lane();
unsigned simd_lanes();
template <typename T>
const T* simd_exchange(T value, unsigned& active);
template <typename T>
const T* quad_exchange(T value, unsigned& active);
template <typename T, typename Op>
T simd_reduce(T value, Op op);
template <typename T, typename Op>
T simd_transform(T value, Op op);
void threadgroup_barrier();
void simdgroup_barrier();

}  // namespace mf
