/*kernel
op = "swiglu"
grid = ["ceildiv(rows * cols, 1)", 1, 1]
threadgroup = [256, 1, 1]
*/
inline float value(float gate, float up) {
  return gate / (1.0f + precise::exp(-gate)) * up;
}
// --- body ---
const size_t count = size_t(gate_shape[0]) * gate_shape[1];
const size_t i = thread_position_in_grid.x;
if (i < count) {
  out[i] = T(value(float(gate[i]), float(up[i])));
}
