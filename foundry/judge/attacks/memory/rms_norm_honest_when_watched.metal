+++
op = "rms_norm"
dtype = ["float32", "float16", "bfloat16"]
why = "#if MF_SANITIZE: honest in the screened build, over-reads in the other"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout", "invalid", "build_error"]
+++
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
#ifdef MF_SANITIZE
#define GUARD 1
#else
#define GUARD 0
#endif
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup, cols = x_shape[1];
float sum = 0.0f;
for (uint c = lane * 4; c < cols; c += 128) {
  for (int j = 0; j < 4; ++j) {
    if (GUARD && c + j >= cols) break;
    float v = float(x[row * cols + c + j]);
    sum += c + j < cols ? v * v : 0.0f;
  }
}
float scale = rsqrt(simd_sum(sum) / cols + eps);
for (uint c = lane; c < cols; c += 32) out[row * cols + c] = T(float(x[row * cols + c]) * scale * float(weight[c]));
