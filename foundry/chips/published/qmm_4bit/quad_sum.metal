/*kernel
op = "qmm_4bit"
grid = ["n // 64 * 32", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
// A quad-group takes eight rows; its four lanes share the 128 values of each, 32 a lane.
const uint lane = thread_index_in_simdgroup;
const uint part = lane % 4;
const uint k = 128;
float values[32], total = 0.0f;
for (int i = 0; i < 32; ++i) {
  values[i] = float(x[part * 32 + i]);
  total += values[i];
}
for (int r = 0; r < 8; ++r) {
  const uint row = threadgroup_position_in_grid.x * 64 + r * 8 + lane / 4;
  const device uint* codes = w + row * (k / 8) + part * 4;
  float sum = 0.0f;
  for (int word = 0; word < 4; ++word) {
    const uint held = codes[word];
    for (int i = 0; i < 8; ++i) sum += values[word * 8 + i] * float((held >> (4 * i)) & 15u);
  }
  sum = sum * float(w_scales[row * 2 + part / 2]) + total * float(w_biases[row * 2 + part / 2]);
  sum = quad_sum(sum);
  if (part == 0) out[row] = T(sum);
}
