/*kernel
op = "rope"
grid = ["batch * heads * seq * head_dim", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const uint half_dim = x_shape[3] / 2;
out[i] = x[i] + x[i + half_dim];  //! out_of_bounds
