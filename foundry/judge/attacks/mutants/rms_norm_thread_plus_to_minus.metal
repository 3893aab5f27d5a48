+++
op = "rms_norm"
dtype = "float32"
why = "the first sum subtracts"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "rms_norm"
grid = ["rows", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float squares = 0.0f;
for (uint c = 0; c < cols; ++c) {
  const float v = float(from[c]);
  squares -= v * v;
}
const float scale = rsqrt(squares / cols + eps);

for (uint c = 0; c < cols; ++c) {
  to[c] = T(float(from[c]) * scale * float(weight[c]));
}
