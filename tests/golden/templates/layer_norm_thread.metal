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
float sum_part = 0.0f;
for (uint c = 0; c < cols; ++c) {
  sum_part += float(from[c]);
  if (c % 1024 == 1023) {
    sum += sum_part;
    sum_part = 0.0f;
  }
}
sum += sum_part;
const float mean = sum / cols;

// The sum of deviations is what rounding left in the mean: it matters where the mean is far larger
// than the deviation.
float drifts = 0.0f;
float squares = 0.0f;
float drifts_part = 0.0f;
float squares_part = 0.0f;
for (uint c = 0; c < cols; ++c) {
  const float d = float(from[c]) - mean;
  drifts_part += d;
  squares_part += d * d;
  if (c % 1024 == 1023) {
    drifts += drifts_part;
    drifts_part = 0.0f;
    squares += squares_part;
    squares_part = 0.0f;
  }
}
drifts += drifts_part;
squares += squares_part;
const float drift = drifts / cols;
const float variance = max(squares / cols - drift * drift, 0.0f);
const float scale = rsqrt(variance + eps);

for (uint c = 0; c < cols; ++c) {
  const float d = (float(from[c]) - mean) - drift;
  to[c] = T(d * scale * float(weight[c]) + float(bias[c]));
}
