/*kernel
op = "silu"
grid = ["max(1, rows * cols - 1)", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const float v = float(x[i]);
out[i] = T(v / (1.0f + exp(-v)));  //! unwritten_output
