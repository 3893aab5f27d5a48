/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const float v = float(x[i + 1]);  //! out_of_bounds
out[i] = T(v);
