/*kernel
op = "matmul_nn"
grid = ["m * SIDE", "n // SIDE", 1]
threadgroup = ["SIDE * SIDE", 1, 1]
[constants]
SIDE = 32
*/
// --- body ---
const uint depth = a_shape[1], n = b_shape[1];
const uint x = thread_position_in_threadgroup.x % SIDE, y = thread_position_in_threadgroup.x / SIDE;
const uint row = threadgroup_position_in_grid.x * SIDE, column = threadgroup_position_in_grid.y * SIDE;
threadgroup float left[SIDE * SIDE];
threadgroup float right[SIDE * SIDE];
float sum = 0.0f;
for (uint start = 0; start < depth; start += SIDE) {
  left[y * SIDE + x] = a[(row + y) * depth + start + x];
  right[y * SIDE + x] = b[(start + y) * n + column + x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int k = 0; k < SIDE; ++k) sum += left[y * SIDE + k] * right[k * SIDE + x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
out[(row + y) * n + column + x] = sum;
