/*kernel
op = "layer_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

// Two passes, and every element less the row's first: neither the mean's rounding nor the sum of
// squares loses digits where the mean is far larger than the deviation.
const float origin = cols > 0 ? float(from[0]) : 0.0f;
float sum = 0.0f;
for (uint c = lane; c < cols; c += 32) {
  sum += float(from[c]) - origin;
}
const float mean = simd_sum(sum) / cols;

float squares = 0.0f;
for (uint c = lane; c < cols; c += 32) {
  const float d = (float(from[c]) - origin) - mean;
  squares += d * d;
}
const float variance = simd_sum(squares) / cols;
const float scale = rsqrt(variance + eps);

for (uint c = lane; c < cols; c += 32) {
  const float d = (float(from[c]) - origin) - mean;
  to[c] = T(d * scale * float(weight[c]) + float(bias[c]));
}
