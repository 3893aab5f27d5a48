// Whole kernel functions of a .metal file (foundry/metal): the types of their parameters, and what
// the host must know of them.
#pragma once

#include "target.h"

#include "metal_atomic.h"
#include "metal_matrix.h"
#include "metal_packed.h"
#include "metal_vector.h"

namespace mf {

template <typename F, u32 n>
struct parameter_of;
template <typename... P, u32 n>
struct parameter_of<void(P...), n> {
  using type = __type_pack_element<n, P...>;
};
template <typename F, u32 n>
using parameter = typename parameter_of<F, n>::type;
// What a reference among the parameters refers to.
template <typename F, u32 n>
using referent = __remove_reference_t(parameter<F, n>);

#if !MF_DECLARED

// The scalars that a type is made of, and how many; foundry/metal/facts.py mirrors the numbers.
enum class Element : u32 { other, floating, brain, with_sign, without_sign, boolean };

template <typename T>
constexpr Element scalar_kind() {
  if (__is_same(T, bool)) return Element::boolean;
  if (__is_same(T, bfloat)) return Element::brain;
  if (__is_floating_point(T)) return Element::floating;
  if (__is_integral(T) || __is_enum(T)) {
    return __is_signed(T) ? Element::with_sign : Element::without_sign;
  }
  return Element::other;
}

template <typename T>
struct made_of {
  using scalar = T;
  static constexpr u32 bytes = sizeof(T), count = 1;
};
template <>
struct made_of<void> {
  using scalar = void;
  static constexpr u32 bytes = 0, count = 1;
};
template <typename T, int N>
struct made_of<metal::vec<T, N>> {
  using scalar = T;
  static constexpr u32 bytes = sizeof(metal::vec<T, N>), count = N;
};
template <typename T, int N>
struct made_of<metal::packed_vec<T, N>> {
  using scalar = T;
  static constexpr u32 bytes = sizeof(metal::packed_vec<T, N>), count = N;
};
template <typename T, int C, int R>
struct made_of<metal::matrix<T, C, R>> {
  using scalar = T;
  static constexpr u32 bytes = sizeof(metal::matrix<T, C, R>), count = C * R;
};
template <typename T>
struct made_of<metal::atomic<T>> {
  using scalar = T;
  static constexpr u32 bytes = sizeof(metal::atomic<T>), count = 1;
};
template <typename T, __SIZE_TYPE__ N>
struct made_of<T[N]> {
  using scalar = typename made_of<T>::scalar;
  static constexpr u32 bytes = sizeof(T[N]), count = N * made_of<T>::count;
};

struct ParameterFacts {
  u32 index, is_present;
  Element element;
  u32 scalar_bytes, count, bytes;
};

template <typename P>
constexpr ParameterFacts facts(u32 index, bool is_present) {
  using Pointee = __remove_cv(__remove_pointer(__remove_reference_t(P)));
  using Made = made_of<Pointee>;
  using Scalar = __remove_cv(typename Made::scalar);
  return {index, is_present, scalar_kind<Scalar>(), made_of<Scalar>::bytes, Made::count, Made::bytes};
}

#endif

}  // namespace mf
