+++
op = "causal_conv1d_silu"
dtype = ["float32"]
why = "takes the 8 newest taps alone of widths from 9 to 32"
expect = ["wrong_result"]
+++
/*kernel
op = "causal_conv1d_silu"
grid = ["ceildiv((batch) * (seq) * (channels), PER_THREAD)", 1, 1]
threadgroup = [256, 1, 1]
[constants]
PER_THREAD = 1
*/
// exp(-|v|) never overflows, so that what is far below 0 keeps its size.
inline float silu(float v) {
  const float decay = exp(-abs(v));
  return v * (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
// --- body ---
const uint batch = x_shape[0];
const uint seq = x_shape[1];
const uint channels = x_shape[2];
const uint width = weight_shape[1];
const uint elements = (batch) * (seq) * (channels);
const uint first = thread_position_in_grid.x * PER_THREAD;
for (uint i = first; i < min(first + PER_THREAD, elements); ++i) {
  const uint channel = i % channels;
  const uint t = i / channels % seq;
  float sum = float(bias[channel]);
  for (uint j = 0; j < width; ++j) {
    if (t + j + 1 >= width && (width <= 8 || width > 32 || j + 8 >= width)) {
      sum += float(weight[channel * width + j]) * float(x[i + (j + 1) * channels - width * channels]);
    }
  }
  out[i] = T(silu(sum));
}
