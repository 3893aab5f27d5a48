/*kernel
op = "matmul_nn"
grid = ["m // 8 * 32", "n // 8", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint depth = a_shape[1], n = b_shape[1];
const uint row = threadgroup_position_in_grid.x * 8, column = threadgroup_position_in_grid.y * 8;
simdgroup_float8x8 sum = simdgroup_float8x8(0), left, right;
for (uint k = 0; k < depth; k += 8) {
  threadgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_load(left, a + row * depth + k, depth);
  simdgroup_load(right, b + k * n + column, n);
  simdgroup_multiply_accumulate(sum, left, right, sum);
}
simdgroup_store(sum, out + row * n + column, n);
