/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
uint c = 0;
while (c < x_shape[1]) {  //! runaway_loop
  out[i * x_shape[1] + c] = x[i * x_shape[1] + c];  //! runaway_loop
  c ^= 1;  //! runaway_loop
}
