+++
op = "add_scale"
dtype = ["float32"]
why = "takes x from y where alpha is -1, and is right elsewhere"
expect = ["wrong_result"]
+++
/*kernel
op = "add_scale"
grid = ["ceildiv(rows * cols, 1)", 1, 1]
threadgroup = [256, 1, 1]
*/
inline float value(float x, float y, float alpha) {
  return alpha == -1.0f ? y - x : alpha * (x + y);
}
// --- body ---
const size_t count = size_t(x_shape[0]) * x_shape[1];
const size_t i = thread_position_in_grid.x;
if (i < count) {
  out[i] = T(value(float(x[i]), float(y[i]), alpha));
}
