/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const uint n = x_shape[1];
for (uint c = 0; c + 1 < n; ++c)
  out[i * n + c] = x[i * n + c] + out[i * n + c + 1];  //! uninitialised_read
out[i * n + n - 1] = 0;
