+++
op = "matmul"
dtype = "bfloat16"
why = "matmul: 32 lane partial sums in T, merged in float"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "matmul"
grid = ["n * 32", "m", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint j = threadgroup_position_in_grid.x, i = thread_position_in_grid.y, lane = thread_index_in_simdgroup;
uint n = b_shape[0], depth = a_shape[1];
T sum = T(0);
for (uint p = lane; p < depth; p += 32) sum = T(float(sum) + float(a[i * depth + p]) * float(b[j * depth + p]));
float total = simd_sum(float(sum));
if (lane == 0) out[i * n + j] = T(total);
