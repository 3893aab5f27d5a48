/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float peak = -INFINITY;
for (uint c = 0; c < cols; ++c) {
  peak = max(peak, float(from[c]));
}
const float row_peak = peak;

float total = 0.0f;
for (uint c = 0; c < cols; ++c) {
  total += precise::exp(float(from[c]) - row_peak);
}
const float row_total = total;

const float scale = 1.0f / row_total;
for (uint c = 0; c < cols; ++c) {
  to[c] = T(precise::exp(float(from[c]) - row_peak) * scale);
}
