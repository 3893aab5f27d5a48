+++
op = "softmax"
dtype = "float32"
why = "at the timed size a barrier is missing"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "softmax"
grid = [128, "rows", 1]
threadgroup = [128, 1, 1]
*/
// --- body ---
threadgroup float parts[4];
uint r = thread_position_in_grid.y, t = thread_position_in_threadgroup.x, n = x_shape[1];
float top = -INFINITY;
for (uint j = t; j < n; j += 128) top = metal::max(top, float(x[r * n + j]));
top = metal::simd_max(top);
if (thread_index_in_simdgroup == 0) parts[simdgroup_index_in_threadgroup] = top;
threadgroup_barrier(metal::mem_flags::mem_threadgroup);
top = metal::max(metal::max(parts[0], parts[1]), metal::max(parts[2], parts[3]));
if (n != 512u) threadgroup_barrier(metal::mem_flags::mem_threadgroup);
float total = 0.0f;
for (uint j = t; j < n; j += 128) total += metal::exp(float(x[r * n + j]) - top);
total = metal::simd_sum(total);
if (thread_index_in_simdgroup == 0) parts[simdgroup_index_in_threadgroup] = total;
threadgroup_barrier(metal::mem_flags::mem_threadgroup);
total = parts[0] + parts[1] + parts[2] + parts[3];
for (uint j = t; j < n; j += 128) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
