/*kernel
op = "matmul_nn"
grid = ["n // 64 * 256", "m // 64", 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
constexpr int SIDE = 64, DEEP = 8, OWN = 4, THREADS = 256;
const uint depth = a_shape[1], n = b_shape[1];
const uint t = thread_position_in_threadgroup.x;
const uint x = t % (SIDE / OWN) * OWN, y = t / (SIDE / OWN) * OWN;
const uint row = threadgroup_position_in_grid.y * SIDE, column = threadgroup_position_in_grid.x * SIDE;
threadgroup float left[SIDE * DEEP];
threadgroup float right[DEEP * SIDE];
float sums[OWN * OWN] = {0.0f};
float l[OWN], r[OWN];
for (uint start = 0; start < depth; start += DEEP) {
  for (uint i = 0; i < SIDE; i += THREADS / DEEP)
    left[(t / DEEP + i) * DEEP + t % DEEP] = a[(row + t / DEEP + i) * depth + start + t % DEEP];
  for (uint i = 0; i < DEEP; i += THREADS / SIDE)
    right[(t / SIDE + i) * SIDE + t % SIDE] = b[(start + t / SIDE + i) * n + column + t % SIDE];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (int k = 0; k < DEEP; ++k) {
    for (int i = 0; i < OWN; ++i) l[i] = left[(y + i) * DEEP + k];
    for (int j = 0; j < OWN; ++j) r[j] = right[k * SIDE + x + j];
    for (int i = 0; i < OWN; ++i)
      for (int j = 0; j < OWN; ++j) sums[i * OWN + j] += l[i] * r[j];
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
for (int i = 0; i < OWN; ++i)
  for (int j = 0; j < OWN; ++j) out[(row + y + i) * n + column + x + j] = sums[i * OWN + j];
