+++
op = "rms_norm"
dtype = ["float32", "float16", "bfloat16"]
why = "eps below 1e-6 treated as 1e-6 (eps 1e-12 exists in models)"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup, cols = x_shape[1], rows = x_shape[0];

float sum = 0.0f;
for (uint c = lane; c < cols; c += 32) { float v = float(x[row * cols + c]); sum += v * v; }
float mean = simd_sum(sum) / cols;
float scale = rsqrt(mean + max(eps, 1e-6f));
for (uint c = lane; c < cols; c += 32) out[row * cols + c] = T(float(x[row * cols + c]) * scale * float(weight[c]));
