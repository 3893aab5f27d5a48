/*kernel
op = "matmul"
grid = ["ceildiv(n, TILE_N) * THREADS", "ceildiv(m, TILE_M)", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
ACROSS = {{ across }}
BLOCKS_M = {{ blocks_m }}
BLOCKS_N = {{ blocks_n }}
TILE_M = "8 * {{ down }} * BLOCKS_M"
TILE_N = "8 * ACROSS * BLOCKS_N"
TILE_K = {{ tile_k }}
STRIDE = "TILE_K + 4"
THREADS = "32 * {{ down }} * ACROSS"
*/
// --- body ---
const uint m = a_shape[0];
const uint n = b_shape[0];
const uint depth = a_shape[1];
const uint thread_in_tile = thread_position_in_threadgroup.x;
const uint lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint tile_row = threadgroup_position_in_grid.y * TILE_M;
const uint tile_column = threadgroup_position_in_grid.x * TILE_N;
const uint my_row = simd / ACROSS * (8 * BLOCKS_M);  // of this SIMD-group's blocks in the tile
const uint my_column = simd % ACROSS * (8 * BLOCKS_N);

// Operands are staged in float: zeros beyond the edges, and sums that keep every digit of T.
threadgroup float a_tile[TILE_M * STRIDE];
threadgroup float b_tile[TILE_N * STRIDE];
threadgroup float results[THREADS / 32][64];

simdgroup_float8x8 sums[BLOCKS_M][BLOCKS_N];
for (int r = 0; r < BLOCKS_M; ++r) {
  for (int c = 0; c < BLOCKS_N; ++c) {
    sums[r][c] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
}
for (uint start = 0; start < depth; start += TILE_K) {
  for (uint i = thread_in_tile; i < TILE_M * TILE_K; i += THREADS) {
    const uint r = i / TILE_K;
    const uint d = i % TILE_K;
    const bool inside = tile_row + r < m && start + d < depth;
    a_tile[r * STRIDE + d] = inside ? float(a[size_t(tile_row + r) * depth + start + d]) : 0.0f;
  }
  for (uint i = thread_in_tile; i < TILE_N * TILE_K; i += THREADS) {
    const uint c = i / TILE_K;
    const uint d = i % TILE_K;
    const bool inside = tile_column + c < n && start + d < depth;
    b_tile[c * STRIDE + d] = inside ? float(b[size_t(tile_column + c) * depth + start + d]) : 0.0f;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int d = 0; d < TILE_K; d += 8) {
    simdgroup_float8x8 left[BLOCKS_M];
    simdgroup_float8x8 right[BLOCKS_N];
    for (int r = 0; r < BLOCKS_M; ++r) {
      simdgroup_load(left[r], a_tile + (my_row + 8 * r) * STRIDE + d, STRIDE);
    }
    for (int c = 0; c < BLOCKS_N; ++c) {
      const threadgroup float* block = b_tile + (my_column + 8 * c) * STRIDE + d;
      simdgroup_load(right[c], block, STRIDE, ulong2(0, 0), true);
    }
    for (int r = 0; r < BLOCKS_M; ++r) {
      for (int c = 0; c < BLOCKS_N; ++c) {
        simdgroup_multiply_accumulate(sums[r][c], left[r], right[c], sums[r][c]);
      }
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);  // tiles are read before the next are staged
}

for (int r = 0; r < BLOCKS_M; ++r) {
  for (int c = 0; c < BLOCKS_N; ++c) {
    simdgroup_store(sums[r][c], &results[simd][0], 8);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = lane; i < 64; i += 32) {
      const uint row = tile_row + my_row + 8 * r + i / 8;
      const uint column = tile_column + my_column + 8 * c + i % 8;
      if (row < m && column < n) {
        out[size_t(row) * n + column] = T(results[simd][i]);
      }
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
  }
}
