/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
auto mine = (device T*)x;
const float v = float(x[i]);
mine[i] = T(1 / (1 + exp(-v)));  //! input_write
out[i] = T(v) * x[i];
