/*kernel
op = "softmax"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float peak = -INFINITY;
for (uint c = lane; c < cols; c += 32) {
  peak = max(peak, float(from[c]));
}
const float row_peak = simd_max(peak);

float total = 0.0f;
for (uint c = lane; c < cols; c += 32) {
  total += precise::exp(float(from[c]) - row_peak);
}
const float row_total = simd_sum(total);

const float scale = 1.0f / row_total;
for (uint c = lane; c < cols; c += 32) {
  to[c] = T(precise::exp(float(from[c]) - row_peak) * scale);
}
