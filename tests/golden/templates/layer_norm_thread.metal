/*kernel
op = "layer_norm"
grid = ["rows", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float sum = 0.0f;
for (uint c = 0; c < cols; ++c) {
  sum += float(from[c]);
}
const float mean = sum / cols;

// The sum of deviations is what rounding left in the mean: it matters where the mean is far larger
// than the deviation.
float drifts = 0.0f;
float squares = 0.0f;
for (uint c = 0; c < cols; ++c) {
  const float d = float(from[c]) - mean;
  drifts += d;
  squares += d * d;
}
const float drift = drifts / cols;
const float variance = max(squares / cols - drift * drift, 0.0f);
const float scale = rsqrt(variance + eps);

for (uint c = 0; c < cols; ++c) {
  const float d = (float(from[c]) - mean) - drift;
  to[c] = T(d * scale * float(weight[c]) + float(bias[c]));
}
