/*kernel
op = "rms_norm"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = x[i] * weight[i];  //! out_of_bounds
