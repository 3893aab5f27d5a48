/*kernel
op = "selective_scan"
grid = ["channels", "batch", 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
STATE = "state"
*/
// --- body ---
const uint channel = thread_position_in_grid.x;
const uint batch = thread_position_in_grid.y;
const uint seq = x_shape[1];
const uint channels = x_shape[2];
float h[STATE];
for (uint n = 0; n < STATE; ++n) {
  h[n] = 0.0f;
}
for (uint t = 0; t < seq; ++t) {
  const size_t row = size_t(batch) * seq + t;
  const size_t at = row * channels + channel;
  const float moved = float(step[at]);
  const float value = float(x[at]);
  float sum = 0.0f;
  for (uint n = 0; n < STATE; ++n) {
    const float kept = exp(moved * float(decay[channel * STATE + n]));
    h[n] = kept * h[n] + moved * value * float(given[row * STATE + n]);
    sum += h[n] * float(read[row * STATE + n]);
  }
  out[at] = T(sum + float(skip[channel]) * value);
}
