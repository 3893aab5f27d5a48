// MSL 2.2, vector types:
// vec<T, N>: constructors, conversions, components, operators; the names float4, uint2, ...
#pragma once
#pragma clang system_header

#include "metal_swizzle.h"
#include "metal_braces.h"
#include "metal_traits.h"
#include "sanitizer/hooks.h"

namespace metal {
template <typename T, int N>
struct vec;
}

namespace mf {

using metal::vec;

// How one component is kept: bool as a byte, bfloat as its bits, all else as
// itself.
template <typename T>
struct lane_of {
  using type = T;
};
template <>
struct lane_of<bool> {
  using type = unsigned char;
};
template <>
struct lane_of<bfloat> {
  using type = unsigned short;
};
template <typename T>
using lane_t = typename lane_of<T>::type;
template <typename T, int N>
using ext = T __attribute__((ext_vector_type(N)));

template <typename T>
inline constexpr bool is_bfloat = __is_same(T, bfloat);
template <typename T>
inline constexpr bool is_float_like =
    __is_same(T, float) || __is_same(T, half) || __is_same(T, bfloat);
template <typename T>
concept arithmetic = __is_arithmetic(T) || is_bfloat<T>;

template <typename T>
MF_FN constexpr T from_lane(lane_t<T> v) {
  if constexpr (is_bfloat<T>) {
    return __builtin_bit_cast(bfloat, v);
  } else {
    return static_cast<T>(v);
  }
}
template <typename T>
MF_FN constexpr lane_t<T> to_lane(T v) {
  if constexpr (is_bfloat<T>) {
    return __builtin_bit_cast(unsigned short, v);
  } else {
    return static_cast<lane_t<T>>(v);
  }
}

// bfloat vectors are worked on as float and rounded to nearest even once per operation.
template <int N>
MF_FN constexpr ext<float, N> widen_bfloat(ext<unsigned short, N> v) {
  return __builtin_bit_cast(
      ext<float, N>, __builtin_convertvector(v, ext<unsigned, N>) << ext<unsigned, N>(16));
}
template <int N>
MF_FN constexpr ext<unsigned short, N> narrow_bfloat(ext<float, N> v) {
  using bits_t = ext<unsigned, N>;
  bits_t bits = __builtin_bit_cast(bits_t, v);
  bits_t rounded = (bits + bits_t(0x7fffu) + ((bits >> bits_t(16)) & bits_t(1))) >> bits_t(16);
  bits_t quiet = (bits >> bits_t(16)) | bits_t(0x40u);
  bits_t is_nan = __builtin_bit_cast(bits_t, (bits & bits_t(0x7fffffffu)) > bits_t(0x7f800000u));
  return __builtin_convertvector((rounded & ~is_nan) | (quiet & is_nan), ext<unsigned short, N>);
}

// The lanes of a vector in the type its arithmetic is done in, and back.
template <typename T, int N>
MF_FN constexpr auto work(ext<lane_t<T>, N> v) {
  if constexpr (is_bfloat<T>) {
    return widen_bfloat<N>(v);
  } else {
    return v;
  }
}
template <typename T, int N, typename W>
MF_FN constexpr ext<lane_t<T>, N> unwork(W v) {
  if constexpr (is_bfloat<T>) {
    return narrow_bfloat<N>(v);
  } else {
    return v;
  }
}

// A real number out of an integer's range gives its nearest end, and NaN gives 0: clang sees to that
// for scalars alone, and for those not in constant expressions.
template <typename T>
struct whole_range {
  static constexpr bool is_signed = T(-1) < T(0);
  static constexpr int bits = sizeof(T) * 8 - is_signed;
  static constexpr T least = is_signed ? T(T(1) << bits) : T(0);
  static constexpr T most = T(~least);
  static constexpr float beyond = 2.0f * float(T(1) << (bits - 1));
  static constexpr float low = is_signed ? -beyond : 0.0f;
};
template <typename T>
MF_FN constexpr T whole_lane(float v) {
  using R = whole_range<T>;
  if (!(v >= R::low)) return v == v ? R::least : T(0);
  return v >= R::beyond ? R::most : static_cast<T>(v);
}
template <typename T, int N>
MF_FN constexpr ext<T, N> whole_lanes(ext<float, N> v) {
  using F = ext<float, N>;
  using R = whole_range<T>;
  // A choice between vectors is no constant expression.
  if (__builtin_is_constant_evaluated()) {
    ext<T, N> whole = ext<T, N>(T(0));
    for (int i = 0; i < N; ++i) whole[i] = whole_lane<T>(v[i]);
    return whole;
  }
  constexpr float below = R::bits > 24 ? R::beyond - R::beyond * 0x1p-24f : R::beyond - 1.0f;
  F held = v >= F(R::low) ? v : F(R::low);
  held = v == v ? held : F(0.0f);
  held = held <= F(below) ? held : F(below);
  ext<T, N> whole = __builtin_convertvector(held, ext<T, N>);
  if constexpr (R::bits > 24) {
    auto over = __builtin_convertvector(v >= F(R::beyond), ext<T, N>);
    whole = (whole & ~over) | (ext<T, N>(R::most) & over);
  }
  return whole;
}

// Element conversion.
template <typename T, typename U, int N>
MF_FN constexpr ext<lane_t<T>, N> convert_lanes(ext<lane_t<U>, N> v) {
  if constexpr (__is_same(T, U)) {
    return v;
  } else if constexpr (__is_same(T, bool)) {
    auto w = work<U, N>(v);
    return __builtin_convertvector(w != decltype(w)(0), ext<unsigned char, N>) &
           ext<unsigned char, N>(1);
  } else if constexpr (is_float_like<U> && __is_integral(T)) {
    return whole_lanes<T, N>(__builtin_convertvector(work<U, N>(v), ext<float, N>));
  } else if constexpr (is_bfloat<T>) {
    return narrow_bfloat<N>(__builtin_convertvector(v, ext<float, N>));
  } else if constexpr (is_bfloat<U>) {
    return __builtin_convertvector(widen_bfloat<N>(v), ext<T, N>);
  } else {
    return __builtin_convertvector(v, ext<T, N>);
  }
}

struct raw_t {};

template <typename T>
concept builtin_real = __is_floating_point(T);

template <typename T>
using component_t = metal::conditional_t<is_bfloat<T>, any_bfloat, T>;
// A scalar argument beside a vector of T, which alone decides T.
template <typename T>
using scalar_t = metal::type_identity_t<component_t<T>>;

}  // namespace mf

namespace metal {

// Braces set the first components and leave zeros, as in clang's own vectors: float4{1} is no splat.
#define MF_AT_MOST(N) \
  __attribute__((diagnose_if(given.size() > N, "excess elements in vector initializer", "error")))

// `v.x = ...` writes one component, and the sanitizer sees no more than that.
#if MF_SANITIZE
#define MF_SET_LANE(d, lane, i, v) (reinterpret_cast<lane*>(&(d))[i] = (v))
#else
#define MF_SET_LANE(d, lane, i, v) ((d)[i] = (v))
#endif

// Where a text is judged, an index is an integer.
#if MF_DECLARED
#define MF_NO_REAL_INDEX         \
  template <mf::builtin_real S>  \
  T operator[](S) const = delete;
#else
#define MF_NO_REAL_INDEX
#endif

#define MF_VEC_COMMON(N)                                                                    \
  using mf_in = mf::component_t<T>;                                                          \
  using mf_lane = mf::lane_t<T>;                                                            \
  using mf_lanes = mf::ext<mf_lane, N>;                                                     \
  using mf_vec2 = vec<T, 2>;                                                                \
  using mf_vec3 = vec<T, 3>;                                                                \
  using mf_vec4 = vec<T, 4>;                                                                \
  mf_lanes d;                                                                               \
  vec() = default;                                                                          \
  MF_FN constexpr vec(T s) : d(mf::to_lane<T>(s)) {}                                        \
  template <mf::builtin_number S>                                                           \
    requires mf::is_bfloat<T>                                                               \
  MF_FN constexpr vec(S s) : d(mf::to_lane<T>(T(s))) {}                                     \
  MF_FN constexpr vec(mf::raw_t, mf_lanes lanes) : d(lanes) {}                              \
  MF_FN constexpr vec(std::initializer_list<T> given) MF_AT_MOST(N) : d(mf_lane(0)) {       \
    for (decltype(sizeof(0)) i = 0; i < given.size(); ++i) d[i] = mf::to_lane<T>(given.begin()[i]); \
  }                                                                                         \
  template <typename U>                                                                     \
    requires(!__is_same(U, T))                                                              \
  MF_FN explicit constexpr vec(vec<U, N> o) : d(mf::convert_lanes<T, U, N>(o.d)) {}         \
  template <int I>                                                                          \
  MF_FN constexpr T lane() const {                                                          \
    return mf::from_lane<T>(d[I]);                                                          \
  }                                                                                         \
  template <int I>                                                                          \
  MF_FN void set_lane(T v) {                                                                \
    MF_SET_LANE(d, mf_lane, I, mf::to_lane<T>(v));                                          \
  }                                                                                         \
  template <int... I>                                                                       \
  MF_FN constexpr vec<T, sizeof...(I)> take() const {                                       \
    return {mf::raw_t{}, mf::ext<mf_lane, sizeof...(I)>{d[I]...}};                          \
  }                                                                                         \
  template <int... I>                                                                       \
  MF_FN void give(vec<T, sizeof...(I)> v) {                                       \
    static_assert(mf::distinct<I...>, "a component may be assigned once in a swizzle");     \
    int k = 0;                                                                              \
    ((d[I] = v.d[k++]), ...);                                                               \
  }                                                                                         \
  MF_FN constexpr T operator[](int i) const { return mf::from_lane<T>(d[mf::component<N>(i)]); }  \
  MF_FN T& operator[](int i) { return reinterpret_cast<T*>(&d)[mf::component<N>(i)]; }      \
  MF_NO_REAL_INDEX                                                                          \
  MF_VEC_OPERATORS(N)

#define MF_VEC_ARITH(N, op)                                                                 \
  friend MF_FN constexpr vec operator op(vec a, vec b) {                                    \
    return {mf::raw_t{}, mf::unwork<T, N>(mf::work<T, N>(a.d) op mf::work<T, N>(b.d))};     \
  }                                                                                         \
  friend MF_FN constexpr vec& operator op##=(vec& a, vec b) { return a = a op b; }          \
  MF_VEC_NO_REAL(op) MF_VEC_NO_REAL(op##=)
// A vector of integers does not meet a real scalar.
#define MF_VEC_NO_REAL(op)                                                                  \
  template <mf::builtin_real S>                                                             \
    requires(__is_integral(T))                                                              \
  friend vec operator op(const vec&, S) = delete;                                           \
  template <mf::builtin_real S>                                                             \
    requires(__is_integral(T))                                                              \
  friend vec operator op(S, const vec&) = delete;
#define MF_VEC_INTEGER(N, op)                                                               \
  friend MF_FN constexpr vec operator op(vec a, vec b)                                      \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    return {mf::raw_t{}, a.d op b.d};                                                       \
  }                                                                                         \
  friend MF_FN constexpr vec& operator op##=(vec& a, vec b)                                 \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    return a = a op b;                                                                      \
  }                                                                                         \
  MF_VEC_NO_REAL(op) MF_VEC_NO_REAL(op##=)
// Metal shifts by the low bits of the amount alone.
#define MF_VEC_SHIFT(N, op)                                                                 \
  friend MF_FN constexpr vec operator op(vec a, vec b)                                      \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    return {mf::raw_t{}, a.d op(b.d & mf_lanes(sizeof(T) * 8 - 1))};                        \
  }                                                                                         \
  friend MF_FN constexpr vec& operator op##=(vec& a, vec b)                                 \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    return a = a op b;                                                                      \
  }                                                                                         \
  MF_VEC_NO_REAL(op) MF_VEC_NO_REAL(op##=)
#define MF_VEC_COMPARE(N, op)                                                               \
  friend MF_FN constexpr vec<bool, N> operator op(vec a, vec b) {                           \
    return {mf::raw_t{},                                                                    \
            __builtin_convertvector(mf::work<T, N>(a.d) op mf::work<T, N>(b.d),             \
                                    mf::ext<unsigned char, N>) &                            \
                mf::ext<unsigned char, N>(1)};                                              \
  }                                                                                         \
  MF_VEC_NO_REAL(op)
#define MF_VEC_OPERATORS(N)                                                                 \
  MF_VEC_ARITH(N, +)                                                                        \
  MF_VEC_ARITH(N, -)                                                                        \
  MF_VEC_ARITH(N, *)                                                                        \
  MF_VEC_ARITH(N, /)                                                                        \
  MF_VEC_INTEGER(N, %)                                                                      \
  MF_VEC_INTEGER(N, &)                                                                      \
  MF_VEC_INTEGER(N, |)                                                                      \
  MF_VEC_INTEGER(N, ^)                                                                      \
  MF_VEC_SHIFT(N, <<)                                                                       \
  MF_VEC_SHIFT(N, >>)                                                                       \
  MF_VEC_COMPARE(N, ==)                                                                     \
  MF_VEC_COMPARE(N, !=)                                                                     \
  MF_VEC_COMPARE(N, <)                                                                      \
  MF_VEC_COMPARE(N, <=)                                                                     \
  MF_VEC_COMPARE(N, >)                                                                      \
  MF_VEC_COMPARE(N, >=)                                                                     \
  friend MF_FN constexpr vec<bool, N> operator&&(vec a, vec b) {                            \
    return vec<bool, N>(a) & vec<bool, N>(b);                                               \
  }                                                                                         \
  friend MF_FN constexpr vec<bool, N> operator||(vec a, vec b) {                            \
    return vec<bool, N>(a) | vec<bool, N>(b);                                               \
  }                                                                                         \
  friend MF_FN constexpr vec<bool, N> operator!(vec a) { return a == vec(T(0)); }           \
  friend MF_FN constexpr vec operator~(vec a)                                               \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    return {mf::raw_t{}, ~a.d};                                                             \
  }                                                                                         \
  friend MF_FN constexpr vec operator+(vec a) { return a; }                                 \
  friend MF_FN constexpr vec operator-(vec a) {                                             \
    return {mf::raw_t{}, mf::unwork<T, N>(-mf::work<T, N>(a.d))};                           \
  }                                                                                         \
  friend MF_FN constexpr vec& operator++(vec& a)                                            \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    return a += vec(T(1));                                                                \
  }                                                                                         \
  friend MF_FN constexpr vec& operator--(vec& a)                                            \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    return a -= vec(T(1));                                                                \
  }                                                                                         \
  friend MF_FN constexpr vec operator++(vec& a, int)                                        \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    vec was = a;                                                                            \
    a += vec(T(1));                                                                         \
    return was;                                                                             \
  }                                                                                         \
  friend MF_FN constexpr vec operator--(vec& a, int)                                        \
    requires(__is_integral(T))                                                              \
  {                                                                                         \
    vec was = a;                                                                            \
    a -= vec(T(1));                                                                         \
    return was;                                                                             \
  }

}  // namespace metal

namespace mf {
template <int...>
inline constexpr bool distinct = true;
template <int H, int... R>
inline constexpr bool distinct<H, R...> = ((H != R) && ...) && distinct<R...>;
}  // namespace mf

namespace metal {

#define MF_L(v) mf::to_lane<T>(v)
// Other sizes have no names, but Metal's compiler takes vec<half, 8>.
template <typename T, int N>
struct vec {
  static_assert(N > 1 && N <= (MF_DECLARED ? 4 : 16), "Metal has vectors of 2, 3 and 4 components");
  MF_VEC_COMMON(N)
  template <typename... S>
    requires(sizeof...(S) == N && N > 1 && (mf::arithmetic<S> && ...))
  MF_FN constexpr vec(S... s) : d{MF_L(static_cast<T>(s))...} {}
};

template <typename T>
struct vec<T, 2> {
  MF_VEC_COMMON(2)
  MF_SWIZZLES_2
  MF_FN constexpr vec(mf_in a, mf_in b) : d{MF_L(a), MF_L(b)} {}
};

template <typename T>
struct vec<T, 3> {
  MF_VEC_COMMON(3)
  MF_SWIZZLES_3
  MF_FN constexpr vec(mf_in a, mf_in b, mf_in c) : d{MF_L(a), MF_L(b), MF_L(c)} {}
  MF_FN constexpr vec(vec<T, 2> a, mf_in b) : d{a.d[0], a.d[1], MF_L(b)} {}
  MF_FN constexpr vec(mf_in a, vec<T, 2> b) : d{MF_L(a), b.d[0], b.d[1]} {}
};

template <typename T>
struct vec<T, 4> {
  MF_VEC_COMMON(4)
  MF_SWIZZLES_4
  MF_FN constexpr vec(mf_in a, mf_in b, mf_in c, mf_in e) : d{MF_L(a), MF_L(b), MF_L(c), MF_L(e)} {}
  MF_FN constexpr vec(vec<T, 2> a, mf_in b, mf_in c) : d{a.d[0], a.d[1], MF_L(b), MF_L(c)} {}
  MF_FN constexpr vec(mf_in a, vec<T, 2> b, mf_in c) : d{MF_L(a), b.d[0], b.d[1], MF_L(c)} {}
  MF_FN constexpr vec(mf_in a, mf_in b, vec<T, 2> c) : d{MF_L(a), MF_L(b), c.d[0], c.d[1]} {}
  MF_FN constexpr vec(vec<T, 2> a, vec<T, 2> b) : d{a.d[0], a.d[1], b.d[0], b.d[1]} {}
  // A scalar is no vec<T, 2> of itself here.
  template <mf::arithmetic S>
  vec(vec<T, 2>, S) = delete;
  template <mf::arithmetic S>
  vec(S, vec<T, 2>) = delete;
  MF_FN constexpr vec(vec<T, 3> a, mf_in b) : d{a.d[0], a.d[1], a.d[2], MF_L(b)} {}
  MF_FN constexpr vec(mf_in a, vec<T, 3> b) : d{MF_L(a), b.d[0], b.d[1], b.d[2]} {}
};
#undef MF_L

#define MF_VECTOR_NAMES(T)    \
  using T##2 = vec<T, 2>;     \
  using T##3 = vec<T, 3>;     \
  using T##4 = vec<T, 4>;
#define MF_EACH_ELEMENT(M) \
  M(bool) M(char) M(uchar) M(short) M(ushort) M(int) M(uint) M(long) M(ulong) M(half) M(bfloat) M(float)
MF_EACH_ELEMENT(MF_VECTOR_NAMES)
#undef MF_VECTOR_NAMES

// Names of Apple's headers that published kernels use; the specification has them not.
template <typename T>
struct vec_elements : integral_constant<uint, 1> {};
template <typename T, int N>
struct vec_elements<vec<T, N>> : integral_constant<uint, N> {};
template <typename T>
struct __is_valid_simdgroup_type
    : bool_constant<mf::is_float_like<T> || (__is_integral(T) && sizeof(T) <= 4 && !__is_same(T, bool))> {};

}  // namespace metal

// Bits of one type read as another of the same size: an operator of the language, in no namespace.
template <typename To, typename From>
MF_FN constexpr To as_type(From v) {
  static_assert(sizeof(To) == sizeof(From), "as_type needs two types of the same size");
  return __builtin_bit_cast(To, v);
}

namespace mf {
template <typename T>
inline constexpr bool is_vec = false;
template <typename T, int N>
inline constexpr bool is_vec<vec<T, N>> = true;
template <typename T>
struct element_of {
  using type = T;
};
template <typename T, int N>
struct element_of<vec<T, N>> {
  using type = T;
};
template <typename T>
using element_t = typename element_of<T>::type;

// A component read in a constant expression too, where the writable operator[] may not be called.
template <typename T, int N>
MF_FN constexpr T at(const vec<T, N>& v, int i) {
  return from_lane<T>(v.d[i]);
}

#if MF_DECLARED
// What is indexed where an address or a reference is taken (frontend/as_metal.py).
template <typename T, int N>
T component_of(vec<T, N>);
template <typename B>
concept has_components = requires(B&& base) { component_of(base); };
template <typename B>
  requires(!has_components<B>)
constexpr B&& indexed(B&& base) {
  return static_cast<B&&>(base);
}
template <has_components B>
__attribute__((unavailable("address of vector element requested"))) B&& indexed(B&& base);
// What is indexed where an element is an argument: a component is a value and no place.
template <typename B>
  requires(!has_components<B>)
constexpr B&& argument(B&& base) {
  return static_cast<B&&>(base);
}
template <typename T, int N>
constexpr vec<T, N> component_base(vec<T, N> v) {
  return v;
}
template <has_components B>
constexpr auto argument(B&& base) -> const decltype(component_base(base)) {
  return component_base(base);
}
#endif

// f applied to each component.
template <typename R, typename T, int N, typename F>
MF_FN constexpr vec<R, N> map(F f, vec<T, N> a) {
  vec<R, N> r(R(0));  // clang crashes on element writes to an unset vector in constant expressions
  for (int i = 0; i < N; ++i) r.d[i] = to_lane<R>(f(at(a, i)));
  return r;
}
template <typename R, typename T, typename U, int N, typename F>
MF_FN constexpr vec<R, N> map(F f, vec<T, N> a, vec<U, N> b) {
  vec<R, N> r(R(0));  // clang crashes on element writes to an unset vector in constant expressions
  for (int i = 0; i < N; ++i) r.d[i] = to_lane<R>(f(at(a, i), at(b, i)));
  return r;
}
template <typename R, typename T, typename U, typename V, int N, typename F>
MF_FN constexpr vec<R, N> map(F f, vec<T, N> a, vec<U, N> b, vec<V, N> c) {
  vec<R, N> r(R(0));  // clang crashes on element writes to an unset vector in constant expressions
  for (int i = 0; i < N; ++i) r.d[i] = to_lane<R>(f(at(a, i), at(b, i), at(c, i)));
  return r;
}
}  // namespace mf

#if MF_DECLARED
// How many values braces hold (frontend/rewriting/braces.py).
#define MF_EXCESS "excess elements in vector initializer"
namespace mf {
template <typename V, int count>
inline constexpr bool takes = true;
template <typename T, int N, int count>
inline constexpr bool takes<vec<T, N>, count> = count <= N;
template <typename T, int N, int count>
inline constexpr bool takes<const vec<T, N>, count> = count <= N;
template <typename V, int count>
struct takes_at_most {
  static_assert(takes<V, count>, MF_EXCESS);
  using type = V;
};
template <typename V, int count>
using taking = typename takes_at_most<V, count>::type;
}  // namespace mf
#endif
