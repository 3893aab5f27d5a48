/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
float v = float(x[i]);
uint n = 1;
while (n) {  //! runaway_loop
  v = v * 0.5f + 1;  //! runaway_loop
  n |= as_type<uint>(v);  //! runaway_loop
}
out[i] = T(v);
