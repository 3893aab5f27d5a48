/*kernel
op = "selective_scan"
grid = [32, "channels", "batch"]
threadgroup = [32, {{ channels_per_group }}, 1]
[constants]
STATE = "state"
PER_LANE = "ceildiv(state, 32)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint channel = thread_position_in_grid.y;
const uint batch = thread_position_in_grid.z;
const uint seq = x_shape[1];
const uint channels = x_shape[2];
float h[PER_LANE];
float falls[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  const uint n = lane + 32 * j;
  h[j] = 0.0f;
  falls[j] = n < STATE ? float(decay[channel * STATE + n]) : 0.0f;
}
for (uint t = 0; t < seq; ++t) {
  const size_t row = size_t(batch) * seq + t;
  const size_t at = row * channels + channel;
  const float moved = float(step[at]);
  const float value = float(x[at]);
  float sum = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint n = lane + 32 * j;
    if (n < STATE) {
      h[j] = exp(moved * falls[j]) * h[j] + moved * value * float(given[row * STATE + n]);
      sum += h[j] * float(read[row * STATE + n]);
    }
  }
  sum = simd_sum(sum);
  if (lane == 0) {
    out[at] = T(sum + float(skip[channel]) * value);
  }
}
