// MSL 6.9.2, <metal_simdgroup>:
// SIMD-group reductions, prefix sums, shuffles and votes over the seam.
#pragma once
#pragma clang system_header

#include "metal_relational.h"
#include "sanitizer/hooks.h"

namespace mf {

// Sums and products of half and bfloat are accumulated in float and rounded once.
template <typename T>
struct accumulator {
  using type = T;
};
template <>
struct accumulator<half> {
  using type = float;
};
template <>
struct accumulator<bfloat> {
  using type = float;
};
template <typename T, int N>
struct accumulator<vec<T, N>> {
  using type = vec<typename accumulator<T>::type, N>;
};
template <typename T>
using accumulator_t = typename accumulator<T>::type;

// Runs `f` on a value of at most 16 bytes; wider vectors go component by component.
template <typename T, typename F>
MF_FN T by_parts(T v, F f) {
  if constexpr (sizeof(T) <= 16) {
    return f(v);
  } else {
    T r;
    for (int i = 0; i < int(sizeof(T) / sizeof(r[0])); ++i) r[i] = f(v[i]);
    return r;
  }
}

// One lane alone sends its value, and others may never have set theirs: the sanitizer must not see
// it read.
#if MF_SANITIZE
#define MF_SENT(T) const T&
template <typename T>
MF_FN T sent(const T& data, bool is_sender) {
  T value{};
  if (is_sender) value = data;
  return value;
}
template <typename T>
MF_FN T sent_by_first(const T& data) {
  unsigned active;
  mf_note_tolerant(1);
  simd_exchange<uchar>(0, active);
  mf_note_tolerant(0);
  return sent(data, lane() == unsigned(__builtin_ctz(active)));
}
#else
#define MF_SENT(T) T
template <typename T>
MF_FN T sent(T data, bool) {
  return data;
}
template <typename T>
MF_FN T sent_by_first(T data) {
  return data;
}
#endif

struct add_op {
  template <typename T>
  MF_FN constexpr T operator()(T a, T b) const {
    return static_cast<T>(a + b);
  }
};
struct mul_op {
  template <typename T>
  MF_FN constexpr T operator()(T a, T b) const {
    return static_cast<T>(a * b);
  }
};
struct min_op {
  template <typename T>
  MF_FN constexpr T operator()(T a, T b) const {
    return lesser(a, b);
  }
};
struct max_op {
  template <typename T>
  MF_FN constexpr T operator()(T a, T b) const {
    return greater(a, b);
  }
};
struct and_op {
  template <typename T>
  MF_FN constexpr T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct or_op {
  template <typename T>
  MF_FN constexpr T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct xor_op {
  template <typename T>
  MF_FN constexpr T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

template <typename T, typename Op>
MF_FN T reduce_lanes(T v, Op op) {
  return by_parts(v, [op](auto part) __attribute__((always_inline)) { return simd_reduce(part, op); });
}
template <typename T, typename Op>
MF_FN T accumulate_lanes(T v, Op op) {
  return T(reduce_lanes(accumulator_t<T>(v), op));
}

// op over the active lanes before each one, that lane included if `inclusive`.
template <typename T, typename Op>
MF_FN T scan_lanes(T v, Op op, T identity, bool inclusive) {
#if MF_GPU
  return scan_by_doubling(v, op, identity, inclusive);
#else
  return simd_transform(v, [=](T* slots, unsigned active) __attribute__((always_inline)) {
    T total = identity;
    for (unsigned i = 0; i < 32; ++i) {
      if (!((active >> i) & 1u)) continue;
      const T before = total;
      total = op(total, slots[i]);
      slots[i] = inclusive ? total : before;
    }
  });
#endif
}
template <typename T, typename Op>
MF_FN T scan_by_parts(T v, Op op, int identity, bool inclusive) {
  return T(by_parts(accumulator_t<T>(v), [=](auto part) __attribute__((always_inline)) {
    using P = decltype(part);
    return scan_lanes(part, op, P(identity), inclusive);
  }));
}

// The value of another lane; lanes outside the SIMD-group give this lane's own value.
template <typename T>
MF_FN T lane_value(T v, unsigned from) {
  return by_parts(v, [from](auto part) __attribute__((always_inline)) {
    unsigned active;
    auto slots = simd_exchange(part, active);
    MF_NOTE(mf_note_lane(from, active));
    return from < 32u && ((active >> from) & 1u) ? slots[from] : part;
  });
}

template <typename T>
inline constexpr bool is_lane_value = arithmetic<T> || is_vec<T>;
// Metal passes numbers of at most 32 bits; MLX's preamble shuffles wider ones and bool by itself.
template <typename T>
concept lane_data = is_lane_value<T> && (!MF_DECLARED || (sizeof(element_t<T>) <= 4 &&
                                                          !__is_same(element_t<T>, bool)));
template <typename T>
concept lane_integer = lane_data<T> && __is_integral(element_t<T>);

}  // namespace mf

namespace metal {

class simd_vote {
 public:
  using vote_t = ulong;
  explicit constexpr simd_vote(vote_t v = 0) : bits_(v) {}
  explicit constexpr operator vote_t() const { return bits_; }
  bool all() const { return bits_ == existing(); }
  bool any() const { return bits_ != 0; }

 private:
  static vote_t existing() { return (vote_t(1) << mf::simd_lanes()) - 1; }
  vote_t bits_;
};

#define MF_SIMD_REDUCTION(name, run, op, accepts)  \
  template <typename T>                            \
    requires accepts<T>                            \
  MF_FN T simd_##name(T data) {                    \
    return mf::run(data, mf::op{});                \
  }
MF_SIMD_REDUCTION(sum, accumulate_lanes, add_op, mf::lane_data)
MF_SIMD_REDUCTION(product, accumulate_lanes, mul_op, mf::lane_data)
MF_SIMD_REDUCTION(min, reduce_lanes, min_op, mf::lane_data)
MF_SIMD_REDUCTION(max, reduce_lanes, max_op, mf::lane_data)
MF_SIMD_REDUCTION(and, reduce_lanes, and_op, mf::lane_integer)
MF_SIMD_REDUCTION(or, reduce_lanes, or_op, mf::lane_integer)
MF_SIMD_REDUCTION(xor, reduce_lanes, xor_op, mf::lane_integer)
#undef MF_SIMD_REDUCTION

#define MF_SIMD_SCAN(name, op, identity, inclusive)             \
  template <mf::lane_data T>                                     \
  MF_FN T simd_prefix_##name(T data) {                          \
    return mf::scan_by_parts(data, mf::op{}, identity, inclusive); \
  }
MF_SIMD_SCAN(inclusive_sum, add_op, 0, true)
MF_SIMD_SCAN(exclusive_sum, add_op, 0, false)
MF_SIMD_SCAN(inclusive_product, mul_op, 1, true)
MF_SIMD_SCAN(exclusive_product, mul_op, 1, false)
#undef MF_SIMD_SCAN

template <mf::lane_data T>
MF_FN T simd_shuffle(T data, ushort from) {
  MF_NOTE(mf_note_lane_number(from, 32u));
  return mf::lane_value(data, from);
}
template <mf::lane_data T>
MF_FN T simd_broadcast(MF_SENT(T) data, ushort from) {
  MF_NOTE(mf_note_lane_number(from, 32u));
  return mf::lane_value(mf::sent(data, mf::lane() == from), from);
}
template <mf::lane_data T>
MF_FN T simd_broadcast_first(MF_SENT(T) data) {
  return mf::by_parts(mf::sent_by_first(data), [](auto part) __attribute__((always_inline)) {
    unsigned active;
    MF_NOTE(mf_note_tolerant(1));
    auto slots = mf::simd_exchange(part, active);
    MF_NOTE(mf_note_tolerant(0));
    return slots[__builtin_ctz(active)];
  });
}
template <mf::lane_data T>
MF_FN T simd_shuffle_xor(T data, ushort mask) {
  MF_NOTE(mf_note_lane_number(mask, 32u));
  return mf::lane_value(data, mf::lane() ^ mask);
}
template <mf::lane_data T>
MF_FN T simd_shuffle_down(T data, ushort delta) {
  return mf::lane_value(data, mf::lane() + delta);
}
template <mf::lane_data T>
MF_FN T simd_shuffle_up(T data, ushort delta) {
  return mf::lane_value(data, mf::lane() - delta);  // wraps past 31 below lane 0
}
template <mf::lane_data T>
MF_FN T simd_shuffle_rotate_down(T data, ushort delta) {
  return mf::lane_value(data, (mf::lane() + delta) & 31u);
}
template <mf::lane_data T>
MF_FN T simd_shuffle_rotate_up(T data, ushort delta) {
  return mf::lane_value(data, (mf::lane() - delta) & 31u);
}
// Shifts within blocks of `modulo` lanes; what runs out is taken from the other end of `filling`.
template <mf::lane_data T>
MF_FN T simd_shuffle_and_fill_down(T data, T filling, ushort delta, ushort modulo = 32) {
  unsigned base = mf::lane() & ~(modulo - 1u), to = (mf::lane() & (modulo - 1u)) + delta;
  T shifted = mf::lane_value(data, base + (to & (modulo - 1u)));
  T filled = mf::lane_value(filling, base + (to & (modulo - 1u)));
  return to < modulo ? shifted : filled;
}
template <mf::lane_data T>
MF_FN T simd_shuffle_and_fill_up(T data, T filling, ushort delta, ushort modulo = 32) {
  unsigned base = mf::lane() & ~(modulo - 1u), own = mf::lane() & (modulo - 1u);
  T shifted = mf::lane_value(data, base + ((own - delta) & (modulo - 1u)));
  T filled = mf::lane_value(filling, base + ((own - delta) & (modulo - 1u)));
  return own >= delta ? shifted : filled;
}

MF_FN simd_vote simd_ballot(bool expr) {
  MF_NOTE(mf_note_tolerant(1));
  const unsigned bits = mf::simd_reduce(expr ? 1u << mf::lane() : 0u, mf::or_op{});
  MF_NOTE(mf_note_tolerant(0));
  return simd_vote(bits);
}
MF_FN bool simd_all(bool expr) {
  MF_NOTE(mf_note_tolerant(1));
  const bool all = mf::simd_reduce<uchar>(expr, mf::and_op{});
  MF_NOTE(mf_note_tolerant(0));
  return all;
}
MF_FN bool simd_any(bool expr) {
  MF_NOTE(mf_note_tolerant(1));
  const bool any = mf::simd_reduce<uchar>(expr, mf::or_op{});
  MF_NOTE(mf_note_tolerant(0));
  return any;
}
MF_FN simd_vote simd_active_threads_mask() {
  unsigned active;
  MF_NOTE(mf_note_tolerant(1));
  mf::simd_exchange<uchar>(0, active);
  MF_NOTE(mf_note_tolerant(0));
  return simd_vote(active);
}
MF_FN bool simd_is_first() {
  unsigned active;
  MF_NOTE(mf_note_tolerant(1));
  mf::simd_exchange<uchar>(0, active);
  MF_NOTE(mf_note_tolerant(0));
  return mf::lane() == unsigned(__builtin_ctz(active));
}
MF_FN bool simd_is_helper_thread() { return false; }

}  // namespace metal
