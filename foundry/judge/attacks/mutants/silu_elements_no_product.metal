+++
op = "silu"
dtype = "float32"
why = "the first product is a sum"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["ceildiv(rows * cols, 1)", 1, 1]
threadgroup = [256, 1, 1]
*/
inline float silu(float v) {
  return v / (1.0f + exp(-v));
}
// --- body ---
const size_t count = size_t(x_shape[0]) + x_shape[1];
const size_t i = thread_position_in_grid.x;
if (i < count) {
  out[i] = T(silu(float(x[i])));
}
