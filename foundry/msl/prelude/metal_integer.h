// MSL 6.4, <metal_integer>: integer functions, for every integer type and its vectors.
#pragma once
#pragma clang system_header

#include "metal_relational.h"

namespace mf {

template <typename T>
concept integer = __is_integral(T) && !__is_same(T, bool);
// What becomes an int by itself, and has no overload of its own.
template <typename T>
concept promoted = __is_same(T, bool) || (__is_enum(T) && !__is_scoped_enum(T));
template <typename T>
concept settled = promoted<T> || (integer<T> && __is_same(T, decltype(+T())));
// Arguments that promotion alone makes the same: bool and int, but not bool and uint, or char.
template <typename A, typename B, typename C = A>
concept promoted_to_one = (promoted<A> || promoted<B> || promoted<C>) && settled<A> && settled<B> &&
                          settled<C> && __is_same(decltype(+A()), decltype(+B())) &&
                          __is_same(decltype(+A()), decltype(+C()));

template <int Bytes, bool Signed>
struct int_of_size;
#define MF_INT_OF_SIZE(bytes, s, u)      \
  template <>                            \
  struct int_of_size<bytes, true> {      \
    using type = s;                      \
  };                                     \
  template <>                            \
  struct int_of_size<bytes, false> {     \
    using type = u;                      \
  };
MF_INT_OF_SIZE(1, char, uchar)
MF_INT_OF_SIZE(2, short, ushort)
MF_INT_OF_SIZE(4, int, uint)
MF_INT_OF_SIZE(8, long, ulong)
MF_INT_OF_SIZE(16, __int128, unsigned __int128)
#undef MF_INT_OF_SIZE

template <typename T>
using unsigned_t = typename int_of_size<sizeof(T), false>::type;
// Twice as wide: sums and products of two T are exact in it.
template <typename T>
using wider_t = typename int_of_size<sizeof(T) * 2, __is_signed(T)>::type;
template <typename T>
inline constexpr int width = int(sizeof(T) * 8);

// MSL 3.1: shifts. The front end writes `a << masked << b` for `a << b`, and `a <<= amount(b)`.
constexpr struct Masked {
} masked;
template <typename T>
struct Left {
  T value;
};
template <typename T>
struct Right {
  T value;
};
template <typename T>
struct Amount {
  T value;
};
template <typename T>
MF_FN constexpr Amount<T> amount(T v) {
  return {v};
}
template <typename T>
inline constexpr bool shifts = __is_integral(T) || __is_enum(T);
// The low bits that count, of an amount by which a T is shifted.
template <typename T, typename A>
MF_FN constexpr int masked_amount(A by) {
  return static_cast<int>(by) & int(sizeof(T) * 8 - 1);
}
#define MF_SHIFT(Kind, op)                                                                    \
  template <typename T>                                                                       \
  MF_FN constexpr Kind<T> operator op(T value, Masked) {                                      \
    return {value};                                                                           \
  }                                                                                           \
  template <typename T, typename A>                                                           \
  MF_FN constexpr auto operator op(Kind<T> left, A by) {                                      \
    if constexpr (shifts<T> && shifts<A>) {                                                   \
      return left.value op masked_amount<decltype(+left.value)>(by);                          \
    } else {                                                                                  \
      return left.value op by;                                                                \
    }                                                                                         \
  }                                                                                           \
  template <typename T, typename A>                                                           \
  MF_FN constexpr T& operator op##=(T& left, Amount<A> by) {                                  \
    if constexpr (shifts<T> && shifts<A>) {                                                   \
      return left = static_cast<T>(left op masked_amount<decltype(+left)>(by.value));         \
    } else {                                                                                  \
      return left op##= by.value;                                                             \
    }                                                                                         \
  }
MF_SHIFT(Left, <<)
MF_SHIFT(Right, >>)
#undef MF_SHIFT

template <integer T>
MF_FN constexpr T saturated(wider_t<T> v) {
  constexpr wider_t<T> lo = metal::numeric_limits<T>::min(), hi = metal::numeric_limits<T>::max();
  return static_cast<T>(v < lo ? lo : (v > hi ? hi : v));
}

}  // namespace mf

namespace metal {

#define MF_INT1(name, body)                                                                   \
  template <mf::integer T>                                                                    \
  MF_FN constexpr T name(T x) body                                                            \
  template <mf::promoted T>                                                                   \
  MF_FN constexpr auto name(T x) {                                                            \
    return metal::name(+x);                                                                   \
  }                                                                                           \
  template <mf::integer T, int N>                                                             \
  MF_FN constexpr vec<T, N> name(vec<T, N> x) {                                               \
    return mf::map<T>([](T v) __attribute__((always_inline)) { return metal::name(v); }, x);  \
  }
#define MF_INT2(R, name, body)                                                                \
  template <mf::integer T>                                                                    \
  MF_FN constexpr R name(T x, T y) body                                                       \
  template <typename A, typename B>                                                           \
    requires mf::promoted_to_one<A, B>                                                        \
  MF_FN constexpr auto name(A x, B y) {                                                       \
    return metal::name(+x, +y);                                                               \
  }                                                                                           \
  template <mf::integer A, mf::integer B>                                                     \
    requires mf::mixed<A, B>                                                                  \
  MF_FN constexpr auto name(A x, B y) {                                                       \
    using C = mf::common_t<A, B>;                                                             \
    return metal::name(C(x), C(y));                                                           \
  }                                                                                           \
  template <mf::integer T, int N>                                                             \
  MF_FN constexpr auto name(vec<T, N> x, vec<T, N> y) {                                       \
    return mf::map<R>(                                                                        \
        [](T a, T b) __attribute__((always_inline)) { return metal::name(a, b); }, x, y);     \
  }                                                                                           \
  template <mf::integer T, int N>                                                             \
  MF_FN constexpr auto name(vec<T, N> x, mf::scalar_t<T> y) {                              \
    return metal::name(x, vec<T, N>(y));                                                      \
  }
#define MF_INT3(name, body)                                                                   \
  template <mf::integer T>                                                                    \
  MF_FN constexpr T name(T x, T y, T z) body                                                  \
  template <typename A, typename B, typename C>                                               \
    requires mf::promoted_to_one<A, B, C>                                                     \
  MF_FN constexpr auto name(A x, B y, C z) {                                                  \
    return metal::name(+x, +y, +z);                                                           \
  }                                                                                           \
  template <mf::integer T, int N>                                                             \
  MF_FN constexpr vec<T, N> name(vec<T, N> x, vec<T, N> y, vec<T, N> z) {                     \
    return mf::map<T>([](T a, T b, T c) __attribute__((always_inline)) {                      \
      return metal::name(a, b, c);                                                            \
    }, x, y, z);                                                                              \
  }

MF_INT2(mf::unsigned_t<T>, absdiff, {
  using U = mf::unsigned_t<T>;
  return x < y ? static_cast<U>(U(y) - U(x)) : static_cast<U>(U(x) - U(y));
})
MF_INT2(T, addsat, { return mf::saturated<T>(mf::wider_t<T>(x) + mf::wider_t<T>(y)); })
MF_INT2(T, subsat, {
  if constexpr (__is_signed(T)) {
    return mf::saturated<T>(mf::wider_t<T>(x) - mf::wider_t<T>(y));
  } else {
    return static_cast<T>(x < y ? 0 : x - y);
  }
})
MF_INT2(T, hadd, { return static_cast<T>((x & y) + ((x ^ y) >> 1)); })
MF_INT2(T, rhadd, { return static_cast<T>((x | y) - ((x ^ y) >> 1)); })
MF_INT2(T, mulhi, {
  return static_cast<T>((mf::wider_t<T>(x) * mf::wider_t<T>(y)) >> mf::width<T>);
})
MF_INT3(madhi, { return static_cast<T>(metal::mulhi(x, y) + z); })
MF_INT3(madsat, {
  if constexpr (sizeof(T) < 8) {
    long total = long(x) * long(y);
    if constexpr (__is_signed(T)) {
      total += z;
      return static_cast<T>(metal::clamp(total, long(numeric_limits<T>::min()),
                                         long(numeric_limits<T>::max())));
    } else {
      ulong sum = ulong(x) * ulong(y) + z;
      return static_cast<T>(metal::min(sum, ulong(numeric_limits<T>::max())));
    }
  } else {
    T product = 0;
    bool over = __builtin_mul_overflow(x, y, &product);
    T sum = 0;
    if (!over && !__builtin_add_overflow(product, z, &sum)) return sum;
    if constexpr (!__is_signed(T)) {
      return numeric_limits<T>::max();
    } else {
      bool negative = over ? (x < 0) != (y < 0) : z < 0;
      __int128 exact = __int128(x) * y + z;
      if (exact >= LONG_MIN && exact <= LONG_MAX) return static_cast<T>(exact);
      return negative ? numeric_limits<T>::min() : numeric_limits<T>::max();
    }
  }
})

MF_INT1(clz, {
  using U = mf::unsigned_t<T>;
  return static_cast<T>(x == 0 ? mf::width<T> : __builtin_clzg(static_cast<U>(x)));
})
MF_INT1(ctz, {
  using U = mf::unsigned_t<T>;
  return static_cast<T>(x == 0 ? mf::width<T> : __builtin_ctzg(static_cast<U>(x)));
})
MF_INT1(popcount, { return static_cast<T>(__builtin_popcountg(static_cast<mf::unsigned_t<T>>(x))); })
MF_INT1(reverse_bits, { return static_cast<T>(__builtin_elementwise_bitreverse(x)); })
// Left for positive amounts; by the low bits of the amount alone.
MF_INT2(T, rotate, {
  using U = mf::unsigned_t<T>;
  constexpr U mask = mf::width<T> - 1;
  U n = static_cast<U>(y) & mask;
  return static_cast<T>(static_cast<U>((U(x) << n) | (U(x) >> ((mf::width<T> - n) & mask))));
})

#define MF_24(T)                                                                               \
  MF_FN constexpr T mul24(T x, T y) {                                                          \
    return static_cast<T>((static_cast<T>(uint(x) << 8) >> 8) * (static_cast<T>(uint(y) << 8) >> 8)); \
  }                                                                                            \
  MF_FN constexpr T mad24(T x, T y, T z) { return mul24(x, y) + z; }                           \
  template <int N>                                                                             \
  MF_FN constexpr vec<T, N> mul24(vec<T, N> x, vec<T, N> y) {                                  \
    return ((x << vec<T, N>(8)) >> vec<T, N>(8)) * ((y << vec<T, N>(8)) >> vec<T, N>(8));      \
  }                                                                                            \
  template <int N>                                                                             \
  MF_FN constexpr vec<T, N> mad24(vec<T, N> x, vec<T, N> y, vec<T, N> z) {                     \
    return mul24(x, y) + z;                                                                    \
  }
MF_24(int)
MF_24(uint)
#undef MF_24

// `count` bits from `offset`, sign-extended for signed types.
template <mf::integer T>
MF_FN constexpr T extract_bits(T x, uint offset, uint count) {
  if (count == 0) return 0;
  using U = mf::unsigned_t<T>;
  const uint left = mf::width<T> - offset - count;
  return static_cast<T>(static_cast<T>(static_cast<U>(static_cast<U>(x) << left)) >>
                        (mf::width<T> - count));
}
template <mf::integer T>
MF_FN constexpr T insert_bits(T base, T insert, uint offset, uint count) {
  if (count == 0) return base;
  using U = mf::unsigned_t<T>;
  const U field = static_cast<U>(static_cast<U>(~U(0)) >> (mf::width<T> - count));
  const U mask = static_cast<U>(field << offset);
  return static_cast<T>((static_cast<U>(base) & static_cast<U>(~mask)) |
                        (static_cast<U>(static_cast<U>(insert) << offset) & mask));
}
template <mf::integer T, int N>
MF_FN constexpr vec<T, N> extract_bits(vec<T, N> x, uint offset, uint count) {
  return mf::map<T>([=](T v) { return metal::extract_bits(v, offset, count); }, x);
}
template <mf::integer T, int N>
MF_FN constexpr vec<T, N> insert_bits(vec<T, N> base, vec<T, N> insert, uint offset, uint count) {
  return mf::map<T>([=](T b, T v) { return metal::insert_bits(b, v, offset, count); }, base, insert);
}

// Three-way extremes, for integers and floating point alike.
#define MF_THREE(name, body)                                                                  \
  template <typename T>                                                                       \
    requires mf::arithmetic<T>                                                                \
  MF_FN constexpr T name(T x, T y, T z) body                                                  \
  template <typename A, typename B, typename C>                                               \
    requires mf::mixed3<A, B, C>                                                              \
  MF_FN constexpr auto name(A x, B y, C z) {                                                  \
    using R = mf::common_t<mf::common_t<A, B>, C>;                                            \
    return metal::name(R(x), R(y), R(z));                                                     \
  }                                                                                           \
  template <typename T, int N>                                                                \
  MF_FN constexpr vec<T, N> name(vec<T, N> x, vec<T, N> y, vec<T, N> z) body
MF_THREE(max3, { return mf::greater(mf::greater(x, y), z); })
MF_THREE(min3, { return mf::lesser(mf::lesser(x, y), z); })
MF_THREE(median3, {
  return mf::greater(mf::lesser(x, y), mf::lesser(mf::greater(x, y), z));
})
#undef MF_THREE
#undef MF_INT1
#undef MF_INT2
#undef MF_INT3

}  // namespace metal
