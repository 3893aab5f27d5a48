+++
op = "rms_norm"
dtype = ["float32", "float16", "bfloat16"]
why = "writes what it read past the end of a row back"
expect = ["sanitizer_error", "wrong_result", "rejected", "crash", "timeout"]
+++
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
[constants]
N = "cols"
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup;
float sum = 0.0f;
for (uint c = lane; c < N; c += 32) { float v = float(x[row * N + c]); sum += v * v; }
float scale = rsqrt(simd_sum(sum) / N + eps);
for (uint c = lane; c < (N + 3) / 4 * 4; c += 32) {
  if (c < N) out[row * N + c] = T(float(x[row * N + c]) * scale * float(weight[c]));
  else { T old = out[row * N + c]; out[row * N + c] = old; }
}
