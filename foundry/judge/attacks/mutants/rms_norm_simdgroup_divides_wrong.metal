+++
op = "rms_norm"
dtype = "float32"
why = "the first division multiplies"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float squares = 0.0f;
for (uint c = lane; c < cols; c += 32) {
  const float v = float(from[c]);
  squares += v * v;
}
const float scale = rsqrt(simd_sum(squares) * cols + eps);

for (uint c = lane; c < cols; c += 32) {
  to[c] = T(float(from[c]) * scale * float(weight[c]));
}
