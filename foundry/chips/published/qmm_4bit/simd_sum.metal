/*kernel
op = "qmm_4bit"
grid = ["n // 8 * 64", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
// A SIMD-group takes four rows; 32 lanes share the 128 values of each, four a lane.
const uint lane = thread_index_in_simdgroup;
const uint first = threadgroup_position_in_grid.x * 8 + simdgroup_index_in_threadgroup * 4;
const uint k = 128, per_group = 64;
float values[4], total = 0.0f;
for (int i = 0; i < 4; ++i) {
  values[i] = float(x[lane * 4 + i]);
  total += values[i];
}
const uint of_group = lane * 4 / per_group;
for (int r = 0; r < 4; ++r) {
  const uint row = first + r;
  const uint codes = uint(((const device ushort*)(w + row * (k / 8)))[lane]);
  float sum = 0.0f;
  for (int i = 0; i < 4; ++i) sum += values[i] * float((codes >> (4 * i)) & 15u);
  sum = sum * float(w_scales[row * 2 + of_group]) + total * float(w_biases[row * 2 + of_group]);
  sum = simd_sum(sum);
  if (lane == 0) out[row] = T(sum);
}
