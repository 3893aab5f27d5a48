/*kernel
op = "fft"
grid = ["batch * 1024", 1, 1]
threadgroup = [1024, 1, 1]
*/
inline void turn(thread float& re, thread float& im, float c, float s) {
  const float kept = re * c - im * s;
  im = re * s + im * c;
  re = kept;
}
inline void four(thread float* re, thread float* im, int a, int step) {
  const int b = a + step, c = b + step, d = c + step;
  const float even_re = re[a] + re[c], even_im = im[a] + im[c];
  const float odd_re = re[a] - re[c], odd_im = im[a] - im[c];
  const float sum_re = re[b] + re[d], sum_im = im[b] + im[d];
  const float gap_re = re[b] - re[d], gap_im = im[b] - im[d];
  re[a] = even_re + sum_re;
  im[a] = even_im + sum_im;
  re[b] = odd_re + gap_im;
  im[b] = odd_im - gap_re;
  re[c] = even_re - sum_re;
  im[c] = even_im - sum_im;
  re[d] = odd_re - gap_im;
  im[d] = odd_im + gap_re;
}
inline void sixteen(thread float* re, thread float* im) {
  const float cosines[10] = {1.0f, 0.92387953f, 0.70710678f, 0.38268343f, 0.0f,
                             -0.38268343f, -0.70710678f, -0.92387953f, -1.0f, -0.92387953f};
  const float sines[10] = {0.0f, -0.38268343f, -0.70710678f, -0.92387953f, -1.0f,
                           -0.92387953f, -0.70710678f, -0.38268343f, 0.0f, 0.38268343f};
#pragma unroll
  for (int i = 0; i < 4; ++i) four(re, im, i, 4);
#pragma unroll
  for (int i = 1; i < 4; ++i)
#pragma unroll
    for (int r = 1; r < 4; ++r) turn(re[i + 4 * r], im[i + 4 * r], cosines[i * r], sines[i * r]);
#pragma unroll
  for (int r = 0; r < 4; ++r) four(re, im, 4 * r, 1);
}
inline void twiddle(thread float* re, thread float* im, float angle) {
  const float c = metal::fast::cos(angle), s = metal::fast::sin(angle);
  float power_c = 1.0f, power_s = 0.0f;
#pragma unroll
  for (int j = 1; j < 16; ++j) {
    turn(power_c, power_s, c, s);
    turn(re[j], im[j], power_c, power_s);
  }
}
inline void exchange(thread float* part, threadgroup float* shared, uint t, uint base, uint step) {
  float taken[16];
#pragma unroll
  for (uint side = 0; side < 2; ++side) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
    for (uint m = 0; m < 16; ++m) {
      const uint at = base + m * step;
      if (at / 8192 == side) shared[at % 8192] = part[4 * (m % 4) + m / 4];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
    for (uint j = 0; j < 8; ++j) taken[8 * side + j] = shared[t + 1024 * j];
  }
#pragma unroll
  for (int j = 0; j < 16; ++j) part[j] = taken[j];
}
// --- body ---
threadgroup float shared[8192];
const uint t = thread_position_in_threadgroup.x;
const auto from = x + threadgroup_position_in_grid.x * 32768;
const auto to = out + threadgroup_position_in_grid.x * 32768;
constexpr float TURN = -6.28318531f;
float re[16], im[16];
#pragma unroll
for (uint j = 0; j < 16; ++j) {
  re[j] = from[2 * (t + 1024 * j)];
  im[j] = from[2 * (t + 1024 * j) + 1];
}
sixteen(re, im);
exchange(re, shared, t, 16 * t, 1);
exchange(im, shared, t, 16 * t, 1);
twiddle(re, im, TURN / 256 * (t % 16));
sixteen(re, im);
exchange(re, shared, t, t / 16 * 256 + t % 16, 16);
exchange(im, shared, t, t / 16 * 256 + t % 16, 16);
twiddle(re, im, TURN / 4096 * (t % 256));
sixteen(re, im);
exchange(re, shared, t, t / 256 * 4096 + t % 256, 256);
exchange(im, shared, t, t / 256 * 4096 + t % 256, 256);
#pragma unroll
for (uint i = 0; i < 4; ++i) {
  const float angle = TURN / 16384 * (t + 1024 * i);
  const float c = metal::fast::cos(angle), s = metal::fast::sin(angle);
  float power_c = 1.0f, power_s = 0.0f;
#pragma unroll
  for (uint j = 1; j < 4; ++j) {
    turn(power_c, power_s, c, s);
    turn(re[i + 4 * j], im[i + 4 * j], power_c, power_s);
  }
  four(re, im, i, 4);
}
#pragma unroll
for (uint m = 0; m < 16; ++m) {
  to[2 * (t + 1024 * m)] = re[m];
  to[2 * (t + 1024 * m) + 1] = im[m];
}
