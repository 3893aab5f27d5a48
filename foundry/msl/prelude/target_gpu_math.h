// Functions that a GPU computes by an instruction of its own, or by one and little beside it. Without
// these the chip model would count the polynomials that a processor needs.
#pragma once

namespace mf {

#define MF_GPU_LANES(name)                                                \
  template <int N>                                                        \
  MF_FN constexpr ext<float, N> name(ext<float, N> x) {                   \
    ext<float, N> r = {};                                                 \
    for (int i = 0; i < N; ++i) r[i] = name(x[i]);                        \
    return r;                                                             \
  }
#define MF_GPU_MATH(name, formula)                                        \
  MF_FN constexpr float name(float x) { return formula; }                 \
  MF_GPU_LANES(name)
#define MF_GPU_BOTH(name, formula) MF_GPU_MATH(name, formula) MF_GPU_MATH(name##_fast, formula)

MF_GPU_MATH(exp2, mf_gpu_exp2(x))
MF_GPU_MATH(log2, mf_gpu_log2(x))
MF_GPU_MATH(exp, mf_gpu_exp2(x * 1.44269504f))
MF_GPU_MATH(log, mf_gpu_log2(x) * 0.69314718f)
MF_GPU_MATH(rsqrt, mf_gpu_rsqrt(x))
MF_GPU_BOTH(exp10, mf_gpu_exp2(x * 3.32192809f))
MF_GPU_BOTH(log10, mf_gpu_log2(x) * 0.30103f)
MF_GPU_BOTH(sin, mf_gpu_sin(x))
MF_GPU_BOTH(cos, mf_gpu_cos(x))
MF_GPU_BOTH(tan, mf_gpu_sin(x) / mf_gpu_cos(x))
MF_GPU_MATH(sinpi, mf_gpu_sin(x * 3.14159265f))
MF_GPU_MATH(cospi, mf_gpu_cos(x * 3.14159265f))
MF_GPU_MATH(tanpi, tan(x * 3.14159265f))
MF_GPU_BOTH(sinh, 0.5f * (exp(x) - exp(-x)))
MF_GPU_BOTH(cosh, 0.5f * (exp(x) + exp(-x)))
// Beyond 15 it is 1 to the last bit, and no exponential overflows.
MF_GPU_BOTH(tanh, 1.0f - 2.0f / (exp(2.0f * (x > 15.0f ? 15.0f : x)) + 1.0f))
MF_GPU_BOTH(asinh, log(x + __builtin_elementwise_sqrt(x * x + 1.0f)))
MF_GPU_BOTH(acosh, log(x + __builtin_elementwise_sqrt(x * x - 1.0f)))
MF_GPU_BOTH(atanh, 0.5f * (log(1.0f + x) - log(1.0f - x)))

MF_FN constexpr float powr(float x, float y) { return mf_gpu_exp2(y * mf_gpu_log2(x)); }
MF_FN constexpr float pow_fast(float x, float y) { return powr(x, y); }
// Of a negative number to a whole power, as the precise function.
MF_FN constexpr float pow(float x, float y) {
  const float size = powr(x < 0.0f ? -x : x, y);
  return x < 0.0f && (int(y) & 1) ? -size : size;
}
#define MF_GPU_POWER(name)                                                \
  template <int N>                                                        \
  MF_FN constexpr ext<float, N> name(ext<float, N> x, ext<float, N> y) {  \
    ext<float, N> r = {};                                                 \
    for (int i = 0; i < N; ++i) r[i] = name(x[i], y[i]);                  \
    return r;                                                             \
  }
MF_GPU_POWER(powr)
MF_GPU_POWER(pow)
MF_GPU_POWER(pow_fast)

MF_FN float sincos(float x, float& cosine) {
  cosine = mf_gpu_cos(x);
  return mf_gpu_sin(x);
}
MF_FN float sincos_fast(float x, float& cosine) { return sincos(x, cosine); }

}  // namespace mf
