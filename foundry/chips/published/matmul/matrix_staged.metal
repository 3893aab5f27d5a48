/*kernel
op = "matmul"
grid = ["ceildiv(n, 64) * 128", "ceildiv(m, 64)", 1]
threadgroup = [128, 1, 1]
*/
// --- body ---
// 64x64 outputs by 2x2 SIMD-groups, 16 deep, whatever the number of rows.
constexpr int SIDE = 64, DEEP = 16, STRIDE = DEEP + 8;
const uint depth = a_shape[1], m = a_shape[0], n = b_shape[0];
const uint row = threadgroup_position_in_grid.y * SIDE, column = threadgroup_position_in_grid.x * SIDE;
const uint t = thread_position_in_threadgroup.x, group = simdgroup_index_in_threadgroup;
threadgroup T left[SIDE * STRIDE];
threadgroup T right[SIDE * STRIDE];
simdgroup_matrix<float, 8, 8> sums[4][4];
for (int i = 0; i < 4; ++i)
  for (int j = 0; j < 4; ++j) sums[i][j] = simdgroup_matrix<float, 8, 8>(0);
for (uint start = 0; start < depth; start += DEEP) {
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint r = t / 2, d = t % 2 * 8;
  for (int i = 0; i < 8; ++i) {
    left[r * STRIDE + d + i] = row + r < m ? a[(row + r) * depth + start + d + i] : T(0);
    right[r * STRIDE + d + i] = column + r < n ? b[(column + r) * depth + start + d + i] : T(0);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int k = 0; k < DEEP; k += 8) {
    simdgroup_matrix<T, 8, 8> l[4], c[4];
    for (int i = 0; i < 4; ++i) {
      simdgroup_load(l[i], left + (group / 2 * 32 + 8 * i) * STRIDE + k, STRIDE);
      simdgroup_load(c[i], right + (group % 2 * 32 + 8 * i) * STRIDE + k, STRIDE, ulong2(0, 0), true);
    }
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j) simdgroup_multiply_accumulate(sums[i][j], l[i], c[j], sums[i][j]);
  }
}
const uint lane = thread_index_in_simdgroup;
const uint y = (lane >> 4 & 1) * 4 + (lane >> 1 & 3), x = (lane >> 3 & 1) * 4 + (lane & 1) * 2;
for (int i = 0; i < 4; ++i)
  for (int j = 0; j < 4; ++j)
    for (int e = 0; e < 2; ++e) {
      const uint at_y = row + group / 2 * 32 + 8 * i + y, at_x = column + group % 2 * 32 + 8 * j + x + e;
      if (at_y < m && at_x < n) out[at_y * n + at_x] = T(sums[i][j].thread_elements()[e]);
    }
