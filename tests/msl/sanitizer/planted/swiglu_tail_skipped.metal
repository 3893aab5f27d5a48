/*kernel
op = "swiglu"
grid = ["rows * cols // 8 + 1", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const uint n = gate_shape[0] * gate_shape[1];
for (uint j = 0; j < 8; ++j)
  if (8 * i + 8 < n) out[8 * i + j] = gate[8 * i + j];  //! unwritten_output
