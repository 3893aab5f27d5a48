/*kernel
op = "fft"
inputs = ["x"]
outputs = ["middle"]
grid = ["batch * 8 * 128", 1, 1]
threadgroup = [128, 1, 1]
[temporaries.middle]
shape = ["batch", "n", 2]
dtype = "float32"
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
inline void eight(thread float* re, thread float* im, int a) {
  const float cosines[4] = {1.0f, 0.70710678f, 0.0f, -0.70710678f};
  const float sines[4] = {0.0f, -0.70710678f, -1.0f, -0.70710678f};
  four(re, im, a, 2);
  four(re, im, a + 1, 2);
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    turn(re[a + 2 * r + 1], im[a + 2 * r + 1], cosines[r], sines[r]);
    const float low_re = re[a + 2 * r], low_im = im[a + 2 * r];
    re[a + 2 * r] += re[a + 2 * r + 1];
    im[a + 2 * r] += im[a + 2 * r + 1];
    re[a + 2 * r + 1] = low_re - re[a + 2 * r + 1];
    im[a + 2 * r + 1] = low_im - im[a + 2 * r + 1];
  }
}
// 128 points of one of 16 columns, 16 of them in each of 8 threads: `row` and every eighth after it
// before, `row` and `row + 8` of each 16 after.
inline void columns(thread float* re, thread float* im, threadgroup float* shared, uint column, uint row) {
  sixteen(re, im);
#pragma unroll
  for (uint m = 0; m < 16; ++m) {
    const uint at = (16 * row + m) * 16 + column;
    shared[at] = re[4 * (m % 4) + m / 4];
    shared[2048 + at] = im[4 * (m % 4) + m / 4];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
  for (uint b = 0; b < 2; ++b) {
    const uint k = row + 8 * b;
    const float c = metal::fast::cos(-6.28318531f / 128 * k), s = metal::fast::sin(-6.28318531f / 128 * k);
    float power_c = 1.0f, power_s = 0.0f;
#pragma unroll
    for (uint j = 0; j < 8; ++j) {
      re[8 * b + j] = shared[(k + 16 * j) * 16 + column];
      im[8 * b + j] = shared[2048 + (k + 16 * j) * 16 + column];
      turn(re[8 * b + j], im[8 * b + j], power_c, power_s);
      turn(power_c, power_s, c, s);
    }
    eight(re, im, 8 * b);
  }
}
// --- body ---
threadgroup float shared[4096];
const uint t = thread_position_in_threadgroup.x, column = t % 16, row = t / 16;
const uint group = threadgroup_position_in_grid.x;
const uint place = group % 8 * 16 + column;
const auto from = x + group / 8 * 32768;
const auto to = middle + group / 8 * 32768;
float re[16], im[16];
#pragma unroll
for (uint j = 0; j < 16; ++j) {
  const uint at = (row + 8 * j) * 128 + place;
  re[j] = from[2 * at];
  im[j] = from[2 * at + 1];
}
columns(re, im, shared, column, row);
#pragma unroll
for (uint b = 0; b < 2; ++b)
#pragma unroll
  for (uint m = 0; m < 8; ++m) {
    const uint k = row + 8 * b + 16 * m, slot = 8 * b + 2 * (m % 4) + m / 4;
    const float angle = -6.28318531f / 16384 * (k * place);
    turn(re[slot], im[slot], metal::fast::cos(angle), metal::fast::sin(angle));
    to[2 * (k * 128 + place)] = re[slot];
    to[2 * (k * 128 + place) + 1] = im[slot];
  }
/*kernel
inputs = ["middle"]
outputs = ["out"]
grid = ["batch * 8 * 128", 1, 1]
threadgroup = [128, 1, 1]
*/
// --- body ---
threadgroup float shared[4096];
const uint t = thread_position_in_threadgroup.x, column = t % 16, row = t / 16;
const uint group = threadgroup_position_in_grid.x;
const uint place = group % 8 * 16;
const auto from = middle + group / 8 * 32768;
const auto to = out + group / 8 * 32768;
float re[16], im[16];
#pragma unroll
for (uint i = 0; i < 16; ++i) {
  shared[t * 16 + i] = from[2 * ((place + i) * 128 + t)];
  shared[2048 + t * 16 + i] = from[2 * ((place + i) * 128 + t) + 1];
}
threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
for (uint j = 0; j < 16; ++j) {
  re[j] = shared[(row + 8 * j) * 16 + column];
  im[j] = shared[2048 + (row + 8 * j) * 16 + column];
}
threadgroup_barrier(mem_flags::mem_threadgroup);
columns(re, im, shared, column, row);
#pragma unroll
for (uint b = 0; b < 2; ++b)
#pragma unroll
  for (uint m = 0; m < 8; ++m) {
    const uint k = row + 8 * b + 16 * m, slot = 8 * b + 2 * (m % 4) + m / 4;
    to[2 * (k * 128 + place + column)] = re[slot];
    to[2 * (k * 128 + place + column) + 1] = im[slot];
  }
