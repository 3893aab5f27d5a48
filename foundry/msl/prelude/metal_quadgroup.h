// MSL 6.9.3, <metal_quadgroup>: the SIMD-group functions within four neighbouring lanes.
#pragma once
#pragma clang system_header

#include "metal_simdgroup.h"

namespace mf {

// Quad-groups of one SIMD-group may be at different places.
template <typename T>
MF_FN MF_CONVERGENT auto quad_meet(T value, unsigned& active) {
  MF_NOTE(mf_note_tolerant(2));
  auto slots = quad_exchange(value, active);
  MF_NOTE(mf_note_tolerant(0));
  return slots;
}

template <typename T, typename Op>
MF_FN T reduce_quad(T v, Op op) {
  return by_parts(v, [op](auto part) __attribute__((always_inline)) {
#if MF_GPU
    return fold_lanes(part, op, 4u);
#endif
    unsigned active;
    auto slots = quad_meet(part, active);
    unsigned first = unsigned(__builtin_ctz(active));
    auto total = slots[first];
    for (unsigned i = first + 1; i < 4; ++i) {
      if ((active >> i) & 1u) total = op(total, slots[i]);
    }
    return total;
  });
}
template <typename T, typename Op>
MF_FN T accumulate_quad(T v, Op op) {
  return T(reduce_quad(accumulator_t<T>(v), op));
}
template <typename T, typename Op>
MF_FN T scan_quad(T v, Op op, int identity, bool inclusive) {
  return T(by_parts(accumulator_t<T>(v), [=](auto part) __attribute__((always_inline)) {
    unsigned active;
    auto slots = quad_meet(part, active);
    const unsigned last = (lane() & 3u) + (inclusive ? 1u : 0u);
    decltype(part) total(identity);
    for (unsigned i = 0; i < last; ++i) {
      if ((active >> i) & 1u) total = op(total, slots[i]);
    }
    return total;
  }));
}
template <typename T>
MF_FN T quad_value(T v, unsigned from) {
  return by_parts(v, [from](auto part) __attribute__((always_inline)) {
    unsigned active;
    auto slots = quad_meet(part, active);
    MF_NOTE(mf_note_lane(from < 4u ? (lane() & ~3u) + from : 32u, active << (lane() & ~3u)));
    return from < 4u && ((active >> from) & 1u) ? slots[from] : part;
  });
}

}  // namespace mf

namespace metal {

class quad_vote {
 public:
  using vote_t = uint;
  explicit constexpr quad_vote(vote_t v = 0) : bits_(v) {}
  explicit constexpr operator vote_t() const { return bits_; }
  bool all() const { return bits_ == 15u; }
  bool any() const { return bits_ != 0; }

 private:
  vote_t bits_;
};

#define MF_QUAD_REDUCTION(name, run, op, accepts) \
  template <accepts T>                            \
  MF_FN T quad_##name(T data) {                   \
    return mf::run(data, mf::op{});               \
  }
MF_QUAD_REDUCTION(sum, accumulate_quad, add_op, mf::lane_data)
MF_QUAD_REDUCTION(product, accumulate_quad, mul_op, mf::lane_data)
MF_QUAD_REDUCTION(min, reduce_quad, min_op, mf::lane_data)
MF_QUAD_REDUCTION(max, reduce_quad, max_op, mf::lane_data)
MF_QUAD_REDUCTION(and, reduce_quad, and_op, mf::lane_integer)
MF_QUAD_REDUCTION(or, reduce_quad, or_op, mf::lane_integer)
MF_QUAD_REDUCTION(xor, reduce_quad, xor_op, mf::lane_integer)
#undef MF_QUAD_REDUCTION

#define MF_QUAD_SCAN(name, op, identity, inclusive)             \
  template <mf::lane_data T>                                    \
  MF_FN T quad_prefix_##name(T data) {                          \
    return mf::scan_quad(data, mf::op{}, identity, inclusive);  \
  }
MF_QUAD_SCAN(inclusive_sum, add_op, 0, true)
MF_QUAD_SCAN(exclusive_sum, add_op, 0, false)
MF_QUAD_SCAN(inclusive_product, mul_op, 1, true)
MF_QUAD_SCAN(exclusive_product, mul_op, 1, false)
#undef MF_QUAD_SCAN

template <mf::lane_data T>
MF_FN T quad_shuffle(T data, ushort from) {
  MF_NOTE(mf_note_lane_number(from, 4u));
  return mf::quad_value(data, from);
}
template <mf::lane_data T>
MF_FN T quad_broadcast(MF_SENT(T) data, ushort from) {
  MF_NOTE(mf_note_lane_number(from, 4u));
  return mf::quad_value(mf::sent(data, (mf::lane() & 3u) == from), from);
}
template <mf::lane_data T>
MF_FN T quad_broadcast_first(T data) {
  return mf::by_parts(data, [](auto part) __attribute__((always_inline)) {
    unsigned active;
    auto slots = mf::quad_meet(part, active);
    return slots[__builtin_ctz(active)];
  });
}
template <mf::lane_data T>
MF_FN T quad_shuffle_xor(T data, ushort mask) {
  MF_NOTE(mf_note_lane_number(mask, 4u));
  return mf::quad_value(data, (mf::lane() & 3u) ^ mask);
}
template <mf::lane_data T>
MF_FN T quad_shuffle_down(T data, ushort delta) {
  return mf::quad_value(data, (mf::lane() & 3u) + delta);
}
template <mf::lane_data T>
MF_FN T quad_shuffle_up(T data, ushort delta) {
  return mf::quad_value(data, (mf::lane() & 3u) - delta);  // wraps past 3 below lane 0
}
template <mf::lane_data T>
MF_FN T quad_shuffle_rotate_down(T data, ushort delta) {
  return mf::quad_value(data, (mf::lane() + delta) & 3u);
}
template <mf::lane_data T>
MF_FN T quad_shuffle_rotate_up(T data, ushort delta) {
  return mf::quad_value(data, (mf::lane() - delta) & 3u);
}
template <mf::lane_data T>
MF_FN T quad_shuffle_and_fill_down(T data, T filling, ushort delta, ushort modulo = 4) {
  const unsigned own = mf::lane() & 3u, to = (own & (modulo - 1u)) + delta;
  const unsigned from = (own & ~(modulo - 1u)) + (to & (modulo - 1u));
  T shifted = mf::quad_value(data, from), filled = mf::quad_value(filling, from);
  return to < modulo ? shifted : filled;
}
template <mf::lane_data T>
MF_FN T quad_shuffle_and_fill_up(T data, T filling, ushort delta, ushort modulo = 4) {
  const unsigned own = mf::lane() & 3u, place = own & (modulo - 1u);
  const unsigned from = (own & ~(modulo - 1u)) + ((place - delta) & (modulo - 1u));
  T shifted = mf::quad_value(data, from), filled = mf::quad_value(filling, from);
  return place >= delta ? shifted : filled;
}

MF_FN quad_vote quad_ballot(bool expr) {
  unsigned active;
  auto slots = mf::quad_meet<uchar>(expr, active);
  unsigned votes = 0;
  for (unsigned i = 0; i < 4; ++i) votes |= unsigned(slots[i] & 1u) << i;
  return quad_vote(votes & active);
}
MF_FN bool quad_all(bool expr) { return mf::reduce_quad<uchar>(expr, mf::and_op{}); }
MF_FN bool quad_any(bool expr) { return mf::reduce_quad<uchar>(expr, mf::or_op{}); }
MF_FN quad_vote quad_active_threads_mask() {
  unsigned active;
  mf::quad_meet<uchar>(0, active);
  return quad_vote(active);
}
MF_FN bool quad_is_first() {
  unsigned active;
  mf::quad_meet<uchar>(0, active);
  return (mf::lane() & 3u) == unsigned(__builtin_ctz(active));
}
MF_FN bool quad_is_helper_thread() { return false; }

}  // namespace metal
