/*kernel
op = "matmul_nn"
grid = ["n // 64 * 512", "m // 64", 1]
threadgroup = [512, 1, 1]
*/
// --- body ---
constexpr int SIDE = 64, DEEP = 8, ROWS = 8;
const uint depth = a_shape[1], n = b_shape[1];
const uint t = thread_position_in_threadgroup.x;
const uint row = threadgroup_position_in_grid.y * SIDE, column = threadgroup_position_in_grid.x * SIDE;
threadgroup float left[SIDE * DEEP];
threadgroup float right[DEEP * SIDE];
float sums[ROWS] = {0.0f};
for (uint start = 0; start < depth; start += DEEP) {
  left[t] = a[(row + t / DEEP) * depth + start + t % DEEP];
  right[t] = b[(start + t / SIDE) * n + column + t % SIDE];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int k = 0; k < DEEP; ++k) {
    const float held = right[k * SIDE + t % SIDE];
    for (int r = 0; r < ROWS; ++r) sums[r] += left[(t / SIDE * ROWS + r) * DEEP + k] * held;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
for (int r = 0; r < ROWS; ++r) out[(row + t / SIDE * ROWS + r) * n + column + t % SIDE] = sums[r];
