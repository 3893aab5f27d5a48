/*kernel
op = "moe_combine"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
VEC = {{ vec }}
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint slots = x_shape[1];
const uint cols = x_shape[2];
for (uint start = lane; start < cols; start += 32 * VEC) {
  float sums[VEC] = {};
  for (uint s = 0; s < slots; ++s) {
    const size_t slot = size_t(row) * slots + s;
    const float part = float(share[slot]);
    for (int j = 0; j < VEC; ++j) {
      const uint c = start + 32 * j;
      sums[j] += c < cols ? part * float(x[slot * cols + c]) : 0.0f;
    }
  }
  for (int j = 0; j < VEC; ++j) {
    const uint c = start + 32 * j;
    if (c < cols) {
      out[size_t(row) * cols + c] = T(sums[j]);
    }
  }
}
