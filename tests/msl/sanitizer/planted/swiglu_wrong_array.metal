/*kernel
op = "swiglu"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const float g = float(gate[i]);
out[i] = T(g * float(up[i + gate_shape[1]]));  //! out_of_bounds
