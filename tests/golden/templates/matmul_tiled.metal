/*kernel
op = "matmul"
grid = ["ceildiv(n, TILE_N) * THREADS", "ceildiv(m, TILE_M)", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
TILE_M = 16
TILE_N = 16
TILE_K = 16
ROWS = 1
COLUMNS = 1
STRIDE = "TILE_K + 1"
ACROSS = "TILE_N // COLUMNS"
THREADS = "TILE_M // ROWS * ACROSS"
*/
// --- body ---
const uint m = a_shape[0];
const uint n = b_shape[0];
const uint depth = a_shape[1];
const uint thread_in_tile = thread_position_in_threadgroup.x;
const uint tile_row = threadgroup_position_in_grid.y * TILE_M;
const uint tile_column = threadgroup_position_in_grid.x * TILE_N;
// A thread's outputs lie ACROSS columns and THREADS / ACROSS rows apart, so that neighbouring
// threads read neighbouring rows of the staged b and write neighbouring elements.
const uint my_row = thread_in_tile / ACROSS;
const uint my_column = thread_in_tile % ACROSS;
constexpr int down = THREADS / ACROSS;

threadgroup float a_tile[TILE_M * STRIDE];
threadgroup float b_tile[TILE_N * STRIDE];
float sums[ROWS][COLUMNS] = {};

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
  for (int d = 0; d < TILE_K; ++d) {
    float left[ROWS];
    float right[COLUMNS];
    for (int r = 0; r < ROWS; ++r) {
      left[r] = a_tile[(my_row + r * down) * STRIDE + d];
    }
    for (int c = 0; c < COLUMNS; ++c) {
      right[c] = b_tile[(my_column + c * ACROSS) * STRIDE + d];
    }
    for (int r = 0; r < ROWS; ++r) {
      for (int c = 0; c < COLUMNS; ++c) {
        sums[r][c] += left[r] * right[c];
      }
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);  // tiles are read before the next are staged
}

for (int r = 0; r < ROWS; ++r) {
  for (int c = 0; c < COLUMNS; ++c) {
    const uint row = tile_row + my_row + r * down;
    const uint column = tile_column + my_column + c * ACROSS;
    if (row < m && column < n) {
      out[size_t(row) * n + column] = T(sums[r][c]);
    }
  }
}
