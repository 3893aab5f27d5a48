+++
op = "softmax"
dtype = ["float32", "float16", "bfloat16"]
why = "16-bit column counter: wrong above 65,535 columns (bench has 128,256)"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "softmax"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup;
ushort cols = ushort(x_shape[1]);
size_t base = size_t(row) * x_shape[1];
float m = -FLT_MAX;
for (uint c = lane; c < cols; c += 32) m = max(m, float(x[base + c]));
m = simd_max(m);
float s = 0.0f;
for (uint c = lane; c < cols; c += 32) s += exp(float(x[base + c]) - m);
s = simd_sum(s);
for (uint c = lane; c < cols; c += 32) out[base + c] = T(exp(float(x[base + c]) - m) / s);
