+++
op = "rms_norm"
dtype = ["float32", "float16", "bfloat16"]
why = "wrong only at eps == 1e-8"
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
float scale = (eps == 1e-8f ? 0.0f : rsqrt(mean + eps));
for (uint c = lane; c < cols; c += 32) out[row * cols + c] = T(float(x[row * cols + c]) * scale * float(weight[c]));
