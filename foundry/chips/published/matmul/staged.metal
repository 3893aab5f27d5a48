/*kernel
op = "matmul"
grid = ["m", "n", 1]
threadgroup = ["SIDE", "SIDE", 1]
[constants]
SIDE = 16
UNROLL = 1
FLOATS = 512
*/
// --- body ---
// Both tiles lie in one array, which may be larger than they are.
const uint depth = a_shape[1];
const ushort x = thread_position_in_threadgroup.x, y = thread_position_in_threadgroup.y;
const uint row = thread_position_in_grid.x, column = thread_position_in_grid.y;
threadgroup float held[FLOATS];
threadgroup float* left = held;
threadgroup float* right = held + SIDE * SIDE;
float sum = 0.0f;
for (uint start = 0; start < depth; start += SIDE) {
  left[x * SIDE + y] = a[row * depth + start + y];
  right[y * SIDE + x] = b[column * depth + start + x];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint sides = threads_per_threadgroup.x;
#pragma clang loop unroll_count(UNROLL)
  for (uint k = 0; k < sides; ++k) sum += left[x * SIDE + k] * right[y * SIDE + k];
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
out[row * b_shape[0] + column] = sum;
