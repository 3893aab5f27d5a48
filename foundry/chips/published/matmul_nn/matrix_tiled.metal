/*kernel
op = "matmul_nn"
grid = ["m // (8 * TILES) * 32", "n // (8 * TILES)", 1]
threadgroup = [32, "GROUPS", 1]
[constants]
TILES = 4
GROUPS = 2
*/
// --- body ---
const uint depth = a_shape[1], n = b_shape[1];
const uint row = threadgroup_position_in_grid.x * 8 * TILES;
const uint column = (threadgroup_position_in_grid.y * GROUPS + thread_position_in_threadgroup.y) * 8 * TILES;
simdgroup_float8x8 sums[TILES][TILES], left[TILES], right[TILES];
for (int i = 0; i < TILES; ++i)
  for (int j = 0; j < TILES; ++j) sums[i][j] = simdgroup_float8x8(0);
for (uint k = 0; k < depth; k += 8) {
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int i = 0; i < TILES; ++i) {
    simdgroup_load(left[i], a + (row + 8 * i) * depth + k, depth);
    simdgroup_load(right[i], b + k * n + column + 8 * i, n);
  }
  for (int i = 0; i < TILES; ++i)
    for (int j = 0; j < TILES; ++j)
      simdgroup_multiply_accumulate(sums[i][j], left[i], right[j], sums[i][j]);
}
for (int i = 0; i < TILES; ++i)
  for (int j = 0; j < TILES; ++j)
    simdgroup_store(sums[i][j], out + (row + 8 * i) * n + column + 8 * j, n);
