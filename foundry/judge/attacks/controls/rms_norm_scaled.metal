+++
op = "rms_norm"
dtype = ["float32", "float16", "bfloat16"]
why = "scaled by the row's maximum, so squares never overflow"
expect = ["correct", "faster"]
+++
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup, cols = x_shape[1];
float m = 0.0f;
for (uint c = lane; c < cols; c += 32) m = max(m, fabs(float(x[row * cols + c])));
m = simd_max(m);
float inv = m > 0.0f ? 1.0f / m : 0.0f;
float sum = 0.0f;
for (uint c = lane; c < cols; c += 32) { float v = float(x[row * cols + c]) * inv; sum += v * v; }
float rms = m * sqrt(simd_sum(sum) / cols);
float scale = precise::rsqrt(fma(rms, rms, eps));
for (uint c = lane; c < cols; c += 32) out[row * cols + c] = T(float(x[row * cols + c]) * scale * float(weight[c]));
