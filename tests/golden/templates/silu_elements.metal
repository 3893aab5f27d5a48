/*kernel
op = "silu"
grid = ["ceildiv(rows * cols, 1)", 1, 1]
threadgroup = [256, 1, 1]
*/
inline float value(float x) {
  return x / (1.0f + precise::exp(-x));
}
// --- body ---
const size_t count = size_t(x_shape[0]) * x_shape[1];
const size_t i = thread_position_in_grid.x;
if (i < count) {
  out[i] = T(value(float(x[i])));
}
