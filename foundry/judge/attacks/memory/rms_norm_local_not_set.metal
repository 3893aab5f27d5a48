+++
op = "rms_norm"
dtype = ["float32", "float16", "bfloat16"]
why = "local accumulator never initialised"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup, cols = x_shape[1];
float sum;
for (uint c = lane; c < cols; c += 32) { float v = float(x[row * cols + c]); sum += v * v; }
float scale = rsqrt(simd_sum(sum) / cols + eps);
for (uint c = lane; c < cols; c += 32) out[row * cols + c] = T(float(x[row * cols + c]) * scale * float(weight[c]));
