/*kernel
op = "matmul"
grid = ["ceildiv(n, 8) * 64", 1, 1]
threadgroup = [64, 1, 1]
[constants]
ROWS = 2
*/
// --- body ---
// A SIMD-group takes four rows of b for all rows of a.
const uint depth = a_shape[1], n = b_shape[0];
const uint first = threadgroup_position_in_grid.x * 8 + simdgroup_index_in_threadgroup * 4;
const uint lane = thread_index_in_simdgroup;
float sums[ROWS][4] = {};
for (uint k = lane * 4; k < depth; k += 128) {
  float4 left[ROWS];
  for (int m = 0; m < ROWS; ++m) left[m] = float4(*(const device vec<T, 4>*)(a + m * depth + k));
  for (int r = 0; r < 4; ++r) {
    const float4 right = float4(*(const device vec<T, 4>*)(b + (first + r) * depth + k));
    for (int m = 0; m < ROWS; ++m) sums[m][r] += dot(left[m], right);
  }
}
for (int m = 0; m < ROWS; ++m)
  for (int r = 0; r < 4; ++r) {
    const float sum = simd_sum(sums[m][r]);
    if (lane == 0) out[m * n + first + r] = T(sum);
  }
