/*kernel
op = "matmul"
grid = [32, "ceildiv(n, COLUMNS)", "m"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
VEC = {{ vec }}
*/
// --- body ---
const uint n = b_shape[0];
const uint depth = a_shape[1];
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.z;
const uint first_column = thread_position_in_grid.y * COLUMNS;
const uint full = depth - depth % VEC;
const uint rest = full + lane;  // left over by the steps of VEC elements: one a lane
auto a_row = a + size_t(row) * depth;

// Columns beyond the edge read the last one again, and are not written.
size_t b_at[COLUMNS];
for (int c = 0; c < COLUMNS; ++c) {
  b_at[c] = size_t(min(first_column + c, n - 1)) * depth;
}
float partial[COLUMNS][VEC] = {};
for (uint i = lane * VEC; i < full; i += 32 * VEC) {
  auto left = a_row + i;
  #pragma unroll
  for (int c = 0; c < COLUMNS; ++c) {
    auto right = b + b_at[c] + i;
    #pragma unroll
    for (int j = 0; j < VEC; ++j) {
      partial[c][j] += float(left[j]) * float(right[j]);
    }
  }
}
for (int c = 0; c < COLUMNS; ++c) {
  float sum = rest < depth ? float(a_row[rest]) * float(b[b_at[c] + rest]) : 0.0f;
  for (int j = 0; j < VEC; ++j) {
    sum += partial[c][j];
  }
  sum = simd_sum(sum);
  if (lane == 0 && first_column + c < n) {
    out[size_t(row) * n + first_column + c] = T(sum);
  }
}
