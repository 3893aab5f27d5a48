/*kernel
op = "matmul_nn"
grid = ["ceildiv(m, 32) * 1024", "ceildiv(n, 32)", 1]
threadgroup = [1024, 1, 1]
*/
// --- body ---
const uint row = threadgroup_position_in_grid.x * 32 + thread_position_in_threadgroup.x / 32;
const uint column = threadgroup_position_in_grid.y * 32 + thread_position_in_threadgroup.x % 32;
const uint depth = a_shape[1], n = b_shape[1];
if (row < a_shape[0] && column < n) {
  float sum = 0.0f;
  for (uint k = 0; k < depth; ++k) sum += a[row * depth + k] * b[k * n + column];
  out[row * n + column] = sum;
}
