/*kernel
op = "matmul_nn"
grid = ["n", "m", 1]
threadgroup = ["SIDE", "SIDE", 1]
[constants]
SIDE = 8
*/
// --- body ---
const uint depth = a_shape[1], n = b_shape[1];
const uint x = thread_position_in_threadgroup.x, y = thread_position_in_threadgroup.y;
const uint row = threadgroup_position_in_grid.y * SIDE, column = threadgroup_position_in_grid.x * SIDE;
threadgroup float left[SIDE][SIDE];
threadgroup float right[SIDE][SIDE];
float sum = 0.0f;
for (uint start = 0; start < depth; start += SIDE) {
  left[y][x] = a[(row + y) * depth + start + x];
  right[y][x] = b[(start + y) * n + column + x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int k = 0; k < SIDE; ++k) sum += left[y][k] * right[k][x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
out[(row + y) * n + column + x] = sum;
