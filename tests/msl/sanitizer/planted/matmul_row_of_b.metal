/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [8, 4, 1]
*/
// --- body ---
const uint c = thread_position_in_grid.x, r = thread_position_in_grid.y;
float total = 0;
for (int k = 0; k <= a_shape[1]; ++k)
  total += float(a[r * a_shape[1] + k]) * float(b[c * a_shape[1] + k]);  //! out_of_bounds
out[r * b_shape[0] + c] = T(total);
