// MSL 2.1, scalar types: bfloat: 16 bits, the upper half of a float.
//
// A class, not clang's __bf16: Metal converts bfloat to float by itself but neither float nor half
// to bfloat, and casts between half and bfloat, all of which __bf16 does otherwise; and its
// conversions are calls on processors without the instruction. Arithmetic is done in float and
// rounded to nearest even once per operation. Operators are friends (see mlx_complex.h).
#pragma once
#pragma clang system_header

struct bfloat;

namespace mf {

template <typename T>
concept builtin_integer = __is_integral(T);
template <typename T>
concept builtin_float = __is_floating_point(T);
template <typename T>
concept builtin_number = __is_arithmetic(T);
// With half a bfloat has no common type: neither holds the other. A text that runs was judged so.
template <typename T>
concept goes_with_bfloat = builtin_number<T> && !(MF_DECLARED && __is_same(T, _Float16));
template <typename T>
concept float_with_bfloat = builtin_float<T> && goes_with_bfloat<T>;

// The type of a value that is read from a place, which may lie in an address space.
template <typename T>
T value_of(T);
template <typename T>
using no_place_t = decltype(value_of(*static_cast<T*>(nullptr)));

MF_FN constexpr float widened(unsigned short bits) {
  return __builtin_bit_cast(float, static_cast<unsigned>(bits) << 16);
}
MF_FN constexpr unsigned short narrowed(float v) {
  const unsigned bits = __builtin_bit_cast(unsigned, v);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<unsigned short>(
      (bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}

}  // namespace mf

struct bfloat {
  unsigned short mf_bits;

  bfloat() = default;
  template <mf::builtin_integer I>
  MF_FN constexpr bfloat(I v) : mf_bits(mf::narrowed(static_cast<float>(v))) {}
  template <mf::builtin_float F>
  MF_FN explicit constexpr bfloat(F v) : mf_bits(mf::narrowed(static_cast<float>(v))) {}

  // Templates, so that nothing converts on from float by itself: `c ? b : 0` stays a bfloat.
  template <typename F>
    requires __is_same(F, float)
  MF_FN constexpr operator F() const {
    return mf::widened(mf_bits);
  }
  // To int nothing converts by itself either, for the same `c ? b : 0`, nor to long, which would make
  // it an index, though Metal does both. To double it does for `c ? b : 1.0`, a float in Metal.
  template <mf::builtin_number N>
    requires(!__is_same(N, float))
  MF_FN explicit((mf::builtin_float<N> && !__is_same(N, double)) || __is_same(N, int) ||
                 __is_same(N, long))
  constexpr operator N() const {
    return static_cast<N>(mf::widened(mf_bits));
  }

  friend MF_FN constexpr bfloat operator+(bfloat a) { return a; }
  friend MF_FN constexpr bfloat operator-(bfloat a) {
    a.mf_bits ^= 0x8000;
    return a;
  }
  friend MF_FN constexpr bfloat& operator++(bfloat& a) { return a = a + 1; }
  friend MF_FN constexpr bfloat& operator--(bfloat& a) { return a = a - 1; }
  friend MF_FN constexpr bfloat operator++(bfloat& a, int) {
    const bfloat was = a;
    a = a + 1;
    return was;
  }
  friend MF_FN constexpr bfloat operator--(bfloat& a, int) {
    const bfloat was = a;
    a = a - 1;
    return was;
  }

#define MF_BFLOAT_ARITHMETIC(op)                                              \
  friend MF_FN constexpr bfloat operator op(bfloat a, bfloat b) {             \
    return bfloat(float(a) op float(b));                                      \
  }                                                                           \
  template <mf::builtin_integer I>                                            \
  friend MF_FN constexpr bfloat operator op(bfloat a, I b) {                  \
    return a op bfloat(b);                                                    \
  }                                                                           \
  template <mf::builtin_integer I>                                            \
  friend MF_FN constexpr bfloat operator op(I a, bfloat b) {                  \
    return bfloat(a) op b;                                                    \
  }                                                                           \
  template <mf::float_with_bfloat F>                                          \
  friend MF_FN constexpr float operator op(bfloat a, F b) {                   \
    return float(a) op static_cast<float>(b);                                 \
  }                                                                           \
  template <mf::float_with_bfloat F>                                          \
  friend MF_FN constexpr float operator op(F a, bfloat b) {                   \
    return static_cast<float>(a) op float(b);                                 \
  }                                                                           \
  template <typename N>                                                       \
  friend MF_FN constexpr bfloat& operator op##=(bfloat& a, N b) {             \
    return a = bfloat(a op b);                                                \
  }                                                                           \
  template <typename N>                                                       \
    requires mf::goes_with_bfloat<mf::no_place_t<N>>                          \
  friend MF_FN constexpr N& operator op##=(N& a, bfloat b) {                  \
    return a = static_cast<mf::no_place_t<N>>(a op b);                        \
  }
  MF_BFLOAT_ARITHMETIC(+)
  MF_BFLOAT_ARITHMETIC(-)
  MF_BFLOAT_ARITHMETIC(*)
  MF_BFLOAT_ARITHMETIC(/)
#undef MF_BFLOAT_ARITHMETIC

#define MF_BFLOAT_ORDER(op)                                                   \
  friend MF_FN constexpr bool operator op(bfloat a, bfloat b) {               \
    return float(a) op float(b);                                              \
  }                                                                           \
  template <mf::goes_with_bfloat N>                                           \
  friend MF_FN constexpr bool operator op(bfloat a, N b) {                    \
    return float(a) op static_cast<float>(b);                                 \
  }
#define MF_BFLOAT_ORDER_REVERSED(op)                                          \
  template <mf::goes_with_bfloat N>                                           \
  friend MF_FN constexpr bool operator op(N a, bfloat b) {                    \
    return static_cast<float>(a) op float(b);                                 \
  }
  MF_BFLOAT_ORDER(==)
  MF_BFLOAT_ORDER(!=)
  MF_BFLOAT_ORDER(<)
  MF_BFLOAT_ORDER(<=)
  MF_BFLOAT_ORDER(>)
  MF_BFLOAT_ORDER(>=)
  MF_BFLOAT_ORDER_REVERSED(==)
  MF_BFLOAT_ORDER_REVERSED(!=)
  MF_BFLOAT_ORDER_REVERSED(<)
  MF_BFLOAT_ORDER_REVERSED(<=)
  MF_BFLOAT_ORDER_REVERSED(>)
  MF_BFLOAT_ORDER_REVERSED(>=)
#undef MF_BFLOAT_ORDER
#undef MF_BFLOAT_ORDER_REVERSED
};

static_assert(sizeof(bfloat) == 2 && __is_trivially_copyable(bfloat));

namespace mf {

// What vector constructors take for a bfloat component: any number.
struct any_bfloat {
  bfloat v;
  MF_FN constexpr any_bfloat(bfloat b) : v(b) {}
  template <builtin_number N>
  MF_FN constexpr any_bfloat(N n) : v(bfloat(n)) {}
  MF_FN constexpr operator bfloat() const { return v; }
};

}  // namespace mf
