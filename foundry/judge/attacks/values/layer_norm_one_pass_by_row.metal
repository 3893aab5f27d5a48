+++
op = "layer_norm"
dtype = ["float16", "bfloat16"]
why = "one-pass variance mean(x^2)-mean(x)^2"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "layer_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup, cols = x_shape[1];
float s = 0.0f, q = 0.0f;
for (uint c = lane; c < cols; c += 32) { float v = float(x[row * cols + c]); s += v; q += v * v; }
float mean = simd_sum(s) / cols;
float var = max(simd_sum(q) / cols - mean * mean, 0.0f);
float scale = rsqrt(var + eps);
for (uint c = lane; c < cols; c += 32)
  out[row * cols + c] = T((float(x[row * cols + c]) - mean) * scale * float(weight[c]) + float(bias[c]));
