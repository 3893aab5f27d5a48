/*kernel
op = "matmul"
grid = ["m // OWN", "n // OWN", 1]
threadgroup = ["SIDE", "SIDE", 1]
[constants]
SIDE = 16
DEEP = 4
OWN = 4
*/
// --- body ---
const uint depth = a_shape[1], n = b_shape[0];
const ushort x = thread_position_in_threadgroup.x, y = thread_position_in_threadgroup.y;
const uint row = thread_position_in_grid.x * OWN, column = thread_position_in_grid.y * OWN;
threadgroup float left[SIDE * OWN * DEEP];
threadgroup float right[SIDE * OWN * DEEP];
float sums[OWN][OWN] = {};
float l[OWN], r[OWN];
const uint at_x = x * OWN * DEEP, at_y = y * OWN * DEEP;
for (uint start = 0; start < depth; start += DEEP) {
  for (uint i = y; i < OWN * DEEP; i += SIDE)
    left[at_x + i] = a[(row + i / DEEP) * depth + start + i % DEEP];
  for (uint j = x; j < OWN * DEEP; j += SIDE)
    right[at_y + j] = b[(column + j / DEEP) * depth + start + j % DEEP];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint k = 0; k < DEEP; ++k) {
    for (int i = 0; i < OWN; ++i) {
      l[i] = left[at_x + i * DEEP + k];
      r[i] = right[at_y + i * DEEP + k];
    }
    for (int i = 0; i < OWN; ++i)
      for (int j = 0; j < OWN; ++j) sums[i][j] += l[i] * r[j];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
for (int i = 0; i < OWN; ++i)
  for (int j = 0; j < OWN; ++j) out[(row + i) * n + column + j] = sums[i][j];
