/*kernel
op = "matmul_nn"
grid = ["n", "m", 1]
threadgroup = [8, 8, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.y, column = thread_position_in_grid.x;
const uint depth = a_shape[1], n = b_shape[1];
if (row < a_shape[0] && column < n) {
  float sum = 0.0f;
  for (uint k = 0; k < depth; ++k) sum += a[row * depth + k] * b[k * n + column];
  out[row * n + column] = sum;
}
