/*kernel
op = "matmul_nn"
grid = ["m", "n", 1]
threadgroup = ["WIDE", "HIGH", 1]
[constants]
WIDE = 32
HIGH = 32
*/
// --- body ---
// Neighbouring threads take neighbouring rows, and so read a column of a.
const uint row = thread_position_in_grid.x, column = thread_position_in_grid.y;
const uint depth = a_shape[1], n = b_shape[1];
if (row < a_shape[0] && column < n) {
  float sum = 0.0f;
  for (uint k = 0; k < depth; ++k) sum += a[row * depth + k] * b[k * n + column];
  out[row * n + column] = sum;
}
