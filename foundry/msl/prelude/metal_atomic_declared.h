// MSL 6.15: which atomic operations there are, by type, address space, order and version, for the
// pass that judges a text; MF_LANGUAGE is the version, as in __METAL_VERSION__.
#pragma once
#pragma clang system_header

namespace metal {

#define MF_RELAXED(order)                                             \
  __attribute__((enable_if(order == memory_order_relaxed,             \
                           "atomic operations take memory_order_relaxed alone")))
#define MF_ATOMIC_32 (__is_same(T, int) || __is_same(T, uint))
#define MF_ATOMIC_READ (MF_ATOMIC_32 || __is_same(T, bool) || __is_same(T, float))

#define MF_FLOATS_IN_THREADGROUP (MF_LANGUAGE >= 410)

#define MF_ATOMICS(SPACE, READ, ADD)                                                            \
  template <typename T>                                                                         \
    requires(READ)                                                                              \
  T atomic_load_explicit(const volatile SPACE atomic<T>* object, memory_order order)            \
      MF_RELAXED(order);                                                                        \
  template <typename T>                                                                         \
    requires(READ)                                                                              \
  void atomic_store_explicit(volatile SPACE atomic<T>* object, type_identity_t<T> v,            \
                             memory_order order) MF_RELAXED(order);                             \
  template <typename T>                                                                         \
    requires(READ)                                                                              \
  T atomic_exchange_explicit(volatile SPACE atomic<T>* object, type_identity_t<T> v,            \
                             memory_order order) MF_RELAXED(order);                             \
  template <typename T>                                                                         \
    requires(READ)                                                                              \
  bool atomic_compare_exchange_weak_explicit(volatile SPACE atomic<T>* object, T* expected,     \
                                             type_identity_t<T> desired, memory_order order,    \
                                             memory_order failed) MF_RELAXED(order)             \
      MF_RELAXED(failed);                                                                       \
  MF_ATOMIC_FETCH(SPACE, add, ADD)                                                              \
  MF_ATOMIC_FETCH(SPACE, sub, ADD)                                                              \
  MF_ATOMIC_FETCH(SPACE, min, MF_ATOMIC_32)                                                     \
  MF_ATOMIC_FETCH(SPACE, max, MF_ATOMIC_32)                                                     \
  MF_ATOMIC_FETCH(SPACE, and, MF_ATOMIC_32 || __is_same(T, bool))                               \
  MF_ATOMIC_FETCH(SPACE, or, MF_ATOMIC_32 || __is_same(T, bool))                                \
  MF_ATOMIC_FETCH(SPACE, xor, MF_ATOMIC_32 || __is_same(T, bool))
#define MF_ATOMIC_FETCH(SPACE, name, ACCEPTS)                                                   \
  template <typename T>                                                                         \
    requires(ACCEPTS)                                                                           \
  T atomic_fetch_##name##_explicit(volatile SPACE atomic<T>* object, type_identity_t<T> v,      \
                                   memory_order order) MF_RELAXED(order);

MF_ATOMICS(MF_DEVICE, MF_ATOMIC_READ, MF_ATOMIC_32 || __is_same(T, float))
MF_ATOMICS(MF_THREADGROUP, MF_ATOMIC_32 || __is_same(T, bool) ||
                               (__is_same(T, float) && MF_FLOATS_IN_THREADGROUP),
           MF_ATOMIC_32 || (__is_same(T, float) && MF_FLOATS_IN_THREADGROUP))
#undef MF_ATOMIC_FETCH
#undef MF_ATOMICS

// The 64-bit extremes, in device memory, return nothing.
void atomic_min_explicit(volatile MF_DEVICE atomic<ulong>* object, ulong v, memory_order order)
    MF_RELAXED(order);
void atomic_max_explicit(volatile MF_DEVICE atomic<ulong>* object, ulong v, memory_order order)
    MF_RELAXED(order);

#undef MF_FLOATS_IN_THREADGROUP
#undef MF_ATOMIC_READ
#undef MF_ATOMIC_32
#undef MF_RELAXED

}  // namespace metal
