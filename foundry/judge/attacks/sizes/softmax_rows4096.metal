+++
op = "softmax"
dtype = ["float32", "float16", "bfloat16"]
why = "grid covers at most 4,096 rows (bench has 16,384)"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "softmax"
grid = [32, "min(rows, 4096)", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup, cols = x_shape[1];
float m = -FLT_MAX;
for (uint c = lane; c < cols; c += 32) m = max(m, float(x[row * cols + c]));
m = simd_max(m);
float s = 0.0f;
for (uint c = lane; c < cols; c += 32) s += exp(float(x[row * cols + c]) - m);
s = simd_sum(s);
for (uint c = lane; c < cols; c += 32) out[row * cols + c] = T(exp(float(x[row * cols + c]) - m) / s);
