/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = x[i];
if (i == 3) out[i * 100000000u] = T(1);  //! out_of_bounds
