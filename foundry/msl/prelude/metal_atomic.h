// MSL 6.15, <metal_atomic>: atomic objects and the operations Metal has on each type.
#pragma once
#pragma clang system_header

#include "metal_compute.h"

namespace metal {

// Read and written through the atomic_..._explicit functions alone.
template <typename T>
struct atomic {
#if MF_DECLARED
  static_assert(__is_same(T, int) || __is_same(T, uint) || __is_same(T, bool) ||
                    __is_same(T, ulong) || __is_same(T, float),
                "Metal has atomics of int, uint, bool, ulong and float");
#endif
  atomic() = default;
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;
  alignas(sizeof(T)) T mf_value;  // said outright: -fmax-type-align would make every operation a call
};

template <typename T>
using _atomic = atomic<T>;  // as Apple's headers have it, and published kernels
using atomic_int = atomic<int>;
using atomic_uint = atomic<uint>;
using atomic_bool = atomic<bool>;
using atomic_float = atomic<float>;
using atomic_long = atomic<long>;
using atomic_ulong = atomic<ulong>;

}  // namespace metal

namespace mf {
template <typename T>
inline constexpr bool atomic_counts = __is_same(T, int) || __is_same(T, uint) ||
                                      __is_same(T, long) || __is_same(T, ulong);
template <typename T>
inline constexpr bool atomic_adds = atomic_counts<T> || __is_same(T, float);
template <typename T>
inline constexpr bool atomic_logical = atomic_counts<T> || __is_same(T, bool);
}  // namespace mf

#if MF_DECLARED
#include "metal_atomic_declared.h"
#else

namespace metal {

template <typename T>
MF_FN T atomic_load_explicit(const volatile atomic<T>* object, memory_order) {
  MF_NOTE(mf_note_atomic_load(&object->mf_value, sizeof object->mf_value));
  T v;
  __atomic_load(&object->mf_value, &v, __ATOMIC_SEQ_CST);
  return v;
}
template <typename T>
MF_FN void atomic_store_explicit(volatile atomic<T>* object, type_identity_t<T> v, memory_order) {
  MF_NOTE(mf_note_atomic_store(&object->mf_value, sizeof object->mf_value));
  __atomic_store(&object->mf_value, &v, __ATOMIC_SEQ_CST);
}
template <typename T>
MF_FN T atomic_exchange_explicit(volatile atomic<T>* object, type_identity_t<T> v, memory_order) {
  MF_NOTE(mf_note_atomic(&object->mf_value, sizeof object->mf_value));
  T old;
  __atomic_exchange(&object->mf_value, &v, &old, __ATOMIC_SEQ_CST);
  return old;
}
template <typename T>
MF_FN bool atomic_compare_exchange_weak_explicit(volatile atomic<T>* object, T* expected,
                                                 type_identity_t<T> desired, memory_order,
                                                 memory_order) {
  MF_NOTE(mf_note_atomic(&object->mf_value, sizeof object->mf_value));
  return __atomic_compare_exchange(&object->mf_value, expected, &desired, false, __ATOMIC_SEQ_CST,
                                   __ATOMIC_SEQ_CST);
}

#define MF_ATOMIC_FETCH(name, accepts)                                                        \
  template <typename T>                                                                       \
    requires accepts<T>                                                                       \
  MF_FN T atomic_fetch_##name##_explicit(volatile atomic<T>* object, type_identity_t<T> v,    \
                                         memory_order) {                                      \
    MF_NOTE(mf_note_atomic(&object->mf_value, sizeof object->mf_value));                       \
    return __atomic_fetch_##name(&object->mf_value, v, __ATOMIC_SEQ_CST);                     \
  }
MF_ATOMIC_FETCH(add, mf::atomic_adds)
MF_ATOMIC_FETCH(sub, mf::atomic_adds)
MF_ATOMIC_FETCH(min, mf::atomic_counts)
MF_ATOMIC_FETCH(max, mf::atomic_counts)
#undef MF_ATOMIC_FETCH
#define MF_ATOMIC_LOGIC(name, op)                                                             \
  template <typename T>                                                                       \
    requires mf::atomic_logical<T>                                                            \
  MF_FN T atomic_fetch_##name##_explicit(volatile atomic<T>* object, type_identity_t<T> v,    \
                                         memory_order order) {                                \
    if constexpr (__is_same(T, bool)) {                                                       \
      bool old = atomic_load_explicit(object, order);                                         \
      while (!atomic_compare_exchange_weak_explicit(object, &old, bool(old op v), order, order)) { \
      }                                                                                       \
      return old;                                                                             \
    } else {                                                                                  \
      MF_NOTE(mf_note_atomic(&object->mf_value, sizeof object->mf_value));                     \
      return __atomic_fetch_##name(&object->mf_value, v, __ATOMIC_SEQ_CST);                   \
    }                                                                                         \
  }
MF_ATOMIC_LOGIC(and, &)
MF_ATOMIC_LOGIC(or, |)
MF_ATOMIC_LOGIC(xor, ^)
#undef MF_ATOMIC_LOGIC

// The 64-bit extremes, which return nothing.
MF_FN void atomic_min_explicit(volatile atomic<ulong>* object, ulong v, memory_order) {
  MF_NOTE(mf_note_atomic(&object->mf_value, sizeof object->mf_value));
  __atomic_fetch_min(&object->mf_value, v, __ATOMIC_SEQ_CST);
}
MF_FN void atomic_max_explicit(volatile atomic<ulong>* object, ulong v, memory_order) {
  MF_NOTE(mf_note_atomic(&object->mf_value, sizeof object->mf_value));
  __atomic_fetch_max(&object->mf_value, v, __ATOMIC_SEQ_CST);
}

}  // namespace metal

#endif
