// MSL 6.5: The digits of 2/pi that the reduction of large angles needs.
#pragma once
#pragma clang system_header

#include "metal_math_core.h"

namespace mf {

// Row k: 2/pi * 2^k modulo 4 in two parts, the first of 24 bits, so that its product with a float
// is exact.
constexpr double two_over_pi[105][2] = {
    {0x1.45f308p-1L, -0x1.236377d5ac07bp-25L}, {0x1.45f308p+0L, -0x1.236377d5ac07bp-24L},
    {-0x1.7419f4p+0L, 0x1.b9391054a7f0ap-24L}, {0x1.17cc1cp+0L, -0x1.1b1bbead603d9p-25L},
    {-0x1.d067c8p+0L, -0x1.1b1bbead603d9p-24L}, {0x1.7cc1bp-2L, 0x1.c9c882a53f84fp-24L},
    {0x1.7cc1b8p-1L, -0x1.b1bbead603d8bp-26L}, {0x1.7cc1b8p+0L, -0x1.b1bbead603d8bp-25L},
    {-0x1.067c9p+0L, -0x1.b1bbead603d8bp-24L}, {0x1.f306dcp+0L, 0x1.391054a7f09d6p-25L},
    {-0x1.9f248p-4L, 0x1.391054a7f09d6p-24L}, {-0x1.9f246p-3L, -0x1.8ddf56b01ec54p-24L},
    {-0x1.9f247p-2L, 0x1.c882a53f84ebp-25L}, {-0x1.9f247p-1L, 0x1.c882a53f84ebp-24L},
    {-0x1.9f246cp+0L, -0x1.bbead603d8a83p-26L}, {0x1.836e5p-1L, -0x1.bbead603d8a83p-25L},
    {0x1.836e5p+0L, -0x1.bbead603d8a83p-24L}, {-0x1.f246c8p-1L, 0x1.1054a7f09d5f4p-25L},
    {-0x1.f246c8p+0L, 0x1.1054a7f09d5f4p-24L}, {0x1.b7274p-4L, -0x1.df56b01ec5417p-24L},
    {0x1.b7272p-3L, 0x1.054a7f09d5f48p-26L}, {0x1.b7272p-2L, 0x1.054a7f09d5f48p-25L},
    {0x1.b7272p-1L, 0x1.054a7f09d5f48p-24L}, {0x1.b72724p+0L, -0x1.f56b01ec5417p-24L},
    {-0x1.236378p-1L, 0x1.529fc2757d1f5p-28L}, {-0x1.236378p+0L, 0x1.529fc2757d1f5p-27L},
    {0x1.b9391p+0L, 0x1.529fc2757d1f5p-26L}, {-0x1.1b1bcp-1L, 0x1.529fc2757d1f5p-25L},
    {-0x1.1b1bcp+0L, 0x1.529fc2757d1f5p-24L}, {0x1.c9c884p+0L, -0x1.5ac07b1505c16p-24L},
    {-0x1.b1bbfp-2L, 0x1.4a7f09d5f47d5p-24L}, {-0x1.b1bbe8p-1L, -0x1.6b01ec5417056p-24L},
    {-0x1.b1bbecp+0L, 0x1.29fc2757d1f53p-24L}, {0x1.391058p-1L, -0x1.ac07b1505c159p-24L},
    {0x1.391054p+0L, 0x1.4fe13abe8fa9ap-25L}, {-0x1.8ddf58p+0L, 0x1.4fe13abe8fa9ap-24L},
    {0x1.c882a8p-1L, -0x1.603d8a82e0acbp-24L}, {0x1.c882a4p+0L, 0x1.3f84eafa3ea6ap-24L},
    {-0x1.bbeadp-2L, -0x1.80f62a0b82b2dp-24L}, {-0x1.bbead8p-1L, 0x1.fc2757d1f534ep-25L},
    {-0x1.bbead8p+0L, 0x1.fc2757d1f534ep-24L}, {0x1.1054a8p-1L, -0x1.ec54170565912p-30L},
    {0x1.1054a8p+0L, -0x1.ec54170565912p-29L}, {-0x1.df56bp+0L, -0x1.ec54170565912p-28L},
    {0x1.054a8p-2L, -0x1.ec54170565912p-27L}, {0x1.054a8p-1L, -0x1.ec54170565912p-26L},
    {0x1.054a8p+0L, -0x1.ec54170565912p-25L}, {-0x1.f56bp+0L, -0x1.ec54170565912p-24L},
    {0x1.529fcp-4L, 0x1.3abe8fa9a6eep-27L}, {0x1.529fcp-3L, 0x1.3abe8fa9a6eep-26L},
    {0x1.529fcp-2L, 0x1.3abe8fa9a6eep-25L}, {0x1.529fcp-1L, 0x1.3abe8fa9a6eep-24L},
    {0x1.529fc4p+0L, -0x1.8a82e0acb223fp-24L}, {-0x1.5ac07cp+0L, 0x1.d5f47d4d37703p-25L},
    {0x1.4a7f08p+0L, 0x1.d5f47d4d37703p-24L}, {-0x1.6b01ecp+0L, -0x1.505c1596447e5p-26L},
    {0x1.29fc28p+0L, -0x1.505c1596447e5p-25L}, {-0x1.ac07bp+0L, -0x1.505c1596447e5p-24L},
    {0x1.4fe138p-1L, 0x1.5f47d4d377037p-24L}, {0x1.4fe13cp+0L, -0x1.4170565911f92p-24L},
    {-0x1.603d8cp+0L, 0x1.7d1f534ddc0dbp-24L}, {0x1.3f84ecp+0L, -0x1.05c1596447e49p-24L},
    {-0x1.80f62cp+0L, 0x1.f47d4d377036ep-24L}, {0x1.fc2758p-1L, -0x1.70565911f924fp-28L},
    {0x1.fc2758p+0L, -0x1.70565911f924fp-27L}, {-0x1.ec54p-6L, -0x1.70565911f924fp-26L},
    {-0x1.ec54p-5L, -0x1.70565911f924fp-25L}, {-0x1.ec54p-4L, -0x1.70565911f924fp-24L},
    {-0x1.ec542p-3L, 0x1.1f534ddc0db63p-24L}, {-0x1.ec541p-2L, -0x1.c1596447e493bp-24L},
    {-0x1.ec5418p-1L, 0x1.f534ddc0db629p-26L}, {-0x1.ec5418p+0L, 0x1.f534ddc0db629p-25L},
    {0x1.3abe8p-3L, 0x1.f534ddc0db629p-24L}, {0x1.3abe9p-2L, -0x1.596447e493ad5p-28L},
    {0x1.3abe9p-1L, -0x1.596447e493ad5p-27L}, {0x1.3abe9p+0L, -0x1.596447e493ad5p-26L},
    {-0x1.8a82ep+0L, -0x1.596447e493ad5p-25L}, {0x1.d5f48p-1L, -0x1.596447e493ad5p-24L},
    {0x1.d5f47cp+0L, 0x1.4d377036d8a56p-24L}, {-0x1.505c1p-2L, -0x1.65911f924eb53p-24L},
    {-0x1.505c18p-1L, 0x1.34ddc0db6295ap-24L}, {-0x1.505c14p+0L, -0x1.96447e493ad4dp-24L},
    {0x1.5f47d4p+0L, 0x1.a6ee06db14acdp-25L}, {-0x1.417058p+0L, 0x1.a6ee06db14acdp-24L},
    {0x1.7d1f54p+0L, -0x1.6447e493ad4cep-25L}, {-0x1.05c158p+0L, -0x1.6447e493ad4cep-24L},
    {0x1.f47d4cp+0L, 0x1.377036d8a5665p-24L}, {-0x1.70564p-4L, -0x1.911f924eb5336p-24L},
    {-0x1.70566p-3L, 0x1.bb81b6c52b328p-25L}, {-0x1.70566p-2L, 0x1.bb81b6c52b328p-24L},
    {-0x1.705658p-1L, -0x1.11f924eb53362p-25L}, {-0x1.705658p+0L, -0x1.11f924eb53362p-24L},
    {0x1.1f534cp+0L, 0x1.dc0db6295993cp-24L}, {-0x1.c15964p+0L, -0x1.1f924eb53361ep-26L},
    {0x1.f534ep-2L, -0x1.1f924eb53361ep-25L}, {0x1.f534ep-1L, -0x1.1f924eb53361ep-24L},
    {0x1.f534dcp+0L, 0x1.c0db6295993c4p-24L}, {-0x1.59644p-4L, -0x1.f924eb53361dep-26L},
    {-0x1.59644p-3L, -0x1.f924eb53361dep-25L}, {-0x1.59644p-2L, -0x1.f924eb53361dep-24L},
    {-0x1.596448p-1L, 0x1.b6c52b3278872p-29L}, {-0x1.596448p+0L, 0x1.b6c52b3278872p-28L},
    {0x1.4d377p+0L, 0x1.b6c52b3278872p-27L}, {-0x1.65912p+0L, 0x1.b6c52b3278872p-26L},
    {0x1.34ddcp+0L, 0x1.b6c52b3278872p-25L},
};

template <typename F>
MF_FN constexpr d_of<F> two_over_pi_part(i_of<F> k, int part) {
  if constexpr (__is_same(F, float)) {
    return two_over_pi[k][part];
  } else {
    d_of<F> r = {};
    for (int i = 0; i < __builtin_vectorelements(F); ++i) r[i] = two_over_pi[k[i]][part];
    return r;
  }
}

}  // namespace mf
