/*kernel
op = "matmul_nn"
grid = ["n // 4", "m // (4 * HIGH)", 1]
threadgroup = ["WIDE", 8, 1]
[constants]
HIGH = 1
WIDE = 8
*/
// --- body ---
// 4x4 outputs a thread, or two of them one above the other, straight from device memory.
const uint depth = a_shape[1], n = b_shape[1];
const uint column = thread_position_in_grid.x * 4, row = thread_position_in_grid.y * 4 * HIGH;
float4x4 sums[HIGH];
for (int h = 0; h < HIGH; ++h) sums[h] = float4x4(0.0f);
for (uint k = 0; k < depth; k += 4) {
  float4x4 right;
  for (int j = 0; j < 4; ++j)
    for (int i = 0; i < 4; ++i) right[j][i] = b[(k + i) * n + column + j];
  for (int h = 0; h < HIGH; ++h) {
    float4x4 left;
    for (int j = 0; j < 4; ++j)
      for (int i = 0; i < 4; ++i) left[j][i] = a[(row + 4 * h + i) * depth + k + j];
    sums[h] += left * right;
  }
}
for (int h = 0; h < HIGH; ++h)
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) out[(row + 4 * h + i) * n + column + j] = sums[h][j][i];
