/*kernel
op = "gather_qmm_combine"
grid = [32, "ceildiv(n, COLUMNS)", "m"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
GROUP = "group"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint token = thread_position_in_grid.z;
const uint slots = x_shape[1];
const uint depth = x_shape[2];
const uint n = w_shape[1];
const uint first_column = thread_position_in_grid.y * COLUMNS;

float sums[COLUMNS] = {};
for (uint s = 0; s < slots; ++s) {
  const uint slot = token * slots + s;
  const uint expert = index[slot];
  const float part = float(share[slot]);
  auto x_row = x + size_t(slot) * depth;
  float dots[COLUMNS] = {};
  for (uint at = lane; at < depth / 8; at += 32) {
    float left[8];
    float total = 0.0f;
    for (int j = 0; j < 8; ++j) {
      left[j] = float(x_row[at * 8 + j]);
      total += left[j];
    }
    for (int c = 0; c < COLUMNS; ++c) {
      // Columns beyond the edge read the last one again, and are not written.
      const size_t row = size_t(expert) * n + min(first_column + c, n - 1);
      const size_t group = row * (depth / GROUP) + at * 8 / GROUP;
      uint word = w[row * (depth / 8) + at];
      float dot = 0.0f;
      for (int j = 0; j < 8; ++j) {
        dot += float(word & 15u) * left[j];
        word >>= 4;
      }
      dots[c] += float(w_scales[group]) * dot + float(w_biases[group]) * total;
    }
  }
  for (int c = 0; c < COLUMNS; ++c) {
    sums[c] += part * simd_sum(dots[c]);
  }
}
for (int c = 0; c < COLUMNS; ++c) {
  if (lane == 0 && first_column + c < n) {
    out[size_t(token) * n + first_column + c] = T(sums[c]);
  }
}
