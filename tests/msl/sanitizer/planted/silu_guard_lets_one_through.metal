/*kernel
op = "silu"
grid = ["rows * cols + 32", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
if (i > x_shape[0] * x_shape[1]) return;
const float v = float(x[i]);  //! out_of_bounds
out[i] = T(v);
