/*kernel
op = "rope"
grid = ["batch * heads * seq", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const uint d = x_shape[3];
for (uint j = 0; j < d / 2; ++j)
  out[i * d + j] = x[i * d + j];  //! unwritten_output
