/*kernel
op = "attention"
grid = ["batch * heads * q_len * head_dim", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const uint keys = k_shape[0] * k_shape[1] * k_shape[2] * k_shape[3];
out[i] = q[i] + k[keys - 1 + (i % 2)];  //! out_of_bounds
