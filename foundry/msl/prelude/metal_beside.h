// Where Metal has one overload for each type, what converts to it may stand in for an argument: a
// scalar beside a vector, as in fma(v, 2.0f, w), and a packed vector anywhere.
#pragma once
#pragma clang system_header

#include "metal_geometric.h"
#include "metal_integer.h"
#include "metal_packed.h"

namespace mf {
template <typename T>
struct unpacked {
  using type = T;
};
template <typename T, int N>
struct unpacked<metal::packed_vec<T, N>> {
  using type = metal::vec<T, N>;
};
template <typename T>
using unpacked_t = typename unpacked<T>::type;

// The first vector among types; the last type where there is none.
template <typename A, typename... Rest>
struct vector_among {
  using type = A;
};
template <typename A, typename B, typename... Rest>
  requires(!is_vec<A>)
struct vector_among<A, B, Rest...> : vector_among<B, Rest...> {};
template <typename... A>
using vector_among_t = typename vector_among<unpacked_t<A>...>::type;

template <typename... A>
concept beside_vector =
    is_vec<vector_among_t<A...>> && (!is_vec<A> || ...) &&
    ((arithmetic<A> || __is_same(unpacked_t<A>, vector_among_t<A...>)) && ...);
}  // namespace mf

namespace metal {
// MF_OF is the namespace whose functions it calls: those of metal are found by their arguments too.
#define MF_BESIDE(name, count)                                  \
  template <typename... A>                                      \
    requires(sizeof...(A) == count && mf::beside_vector<A...>)  \
  MF_FN constexpr auto name(A... a) {                           \
    return MF_OF::name(mf::vector_among_t<A...>(a)...);         \
  }
#define MF_BESIDE_1(name) MF_BESIDE(name, 1)
#define MF_BESIDE_2(name) MF_BESIDE(name, 2)
#define MF_BESIDE_3(name) MF_BESIDE(name, 3)

// The names of which metal::fast and metal::precise have their own, by their number of arguments.
#define MF_FLAVOURED_BESIDE                                                                       \
  MF_BESIDE_1(exp10) MF_BESIDE_1(log10) MF_BESIDE_1(tanh) MF_BESIDE_1(sinh) MF_BESIDE_1(cosh)     \
  MF_BESIDE_1(sin) MF_BESIDE_1(cos) MF_BESIDE_1(tan) MF_BESIDE_1(asinh) MF_BESIDE_1(acosh)        \
  MF_BESIDE_1(atanh) MF_BESIDE_2(pow) MF_BESIDE_2(atan2)
#define MF_OF metal
MF_FLAVOURED_BESIDE

MF_BESIDE_1(abs) MF_BESIDE_1(acos) MF_BESIDE_1(asin) MF_BESIDE_1(atan) MF_BESIDE_1(ceil)
MF_BESIDE_1(clz) MF_BESIDE_1(cospi) MF_BESIDE_1(ctz) MF_BESIDE_1(degrees) MF_BESIDE_1(exp)
MF_BESIDE_1(exp2) MF_BESIDE_1(fabs) MF_BESIDE_1(floor) MF_BESIDE_1(fract) MF_BESIDE_1(isfinite)
MF_BESIDE_1(isinf) MF_BESIDE_1(isnan) MF_BESIDE_1(isnormal) MF_BESIDE_1(length)
MF_BESIDE_1(length_squared) MF_BESIDE_1(log) MF_BESIDE_1(log2) MF_BESIDE_1(normalize)
MF_BESIDE_1(popcount) MF_BESIDE_1(radians) MF_BESIDE_1(reverse_bits) MF_BESIDE_1(rint)
MF_BESIDE_1(round) MF_BESIDE_1(rsqrt) MF_BESIDE_1(saturate) MF_BESIDE_1(sign)
MF_BESIDE_1(signbit) MF_BESIDE_1(sinpi) MF_BESIDE_1(sqrt) MF_BESIDE_1(tanpi) MF_BESIDE_1(trunc)

MF_BESIDE_2(absdiff) MF_BESIDE_2(addsat) MF_BESIDE_2(copysign) MF_BESIDE_2(cross)
MF_BESIDE_2(distance) MF_BESIDE_2(distance_squared) MF_BESIDE_2(divide) MF_BESIDE_2(dot)
MF_BESIDE_2(fdim) MF_BESIDE_2(fmax) MF_BESIDE_2(fmin) MF_BESIDE_2(fmod) MF_BESIDE_2(hadd)
MF_BESIDE_2(max) MF_BESIDE_2(min) MF_BESIDE_2(mul24) MF_BESIDE_2(mulhi) MF_BESIDE_2(nextafter)
MF_BESIDE_2(powr) MF_BESIDE_2(reflect) MF_BESIDE_2(rhadd) MF_BESIDE_2(rotate) MF_BESIDE_2(step)
MF_BESIDE_2(subsat)

MF_BESIDE_3(clamp) MF_BESIDE_3(faceforward) MF_BESIDE_3(fma) MF_BESIDE_3(fmax3)
MF_BESIDE_3(fmedian3) MF_BESIDE_3(fmin3) MF_BESIDE_3(mad24) MF_BESIDE_3(madhi)
MF_BESIDE_3(madsat) MF_BESIDE_3(max3) MF_BESIDE_3(median3) MF_BESIDE_3(min3) MF_BESIDE_3(mix)
MF_BESIDE_3(smoothstep)
#undef MF_OF

namespace fast {
using metal::distance;
using metal::length;
using metal::normalize;
}  // namespace fast
namespace precise {
using metal::distance;
using metal::length;
using metal::normalize;
}  // namespace precise
}  // namespace metal
