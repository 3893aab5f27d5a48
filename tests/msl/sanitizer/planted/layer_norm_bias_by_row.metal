/*kernel
op = "layer_norm"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const uint c = i % x_shape[1];
const T b = bias[c + i / x_shape[1]];  //! out_of_bounds
out[i] = x[i] * weight[c] + b;
