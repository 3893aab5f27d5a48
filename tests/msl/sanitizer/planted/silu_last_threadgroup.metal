/*kernel
op = "silu"
grid = ["(rows * cols + 255) // 256 * 256 + 256", 1, 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const float v = float(x[i]);  //! out_of_bounds
out[i] = T(v / (1.0f + exp(-v)));
