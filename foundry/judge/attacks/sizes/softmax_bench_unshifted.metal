+++
op = "softmax"
dtype = ["float32", "bfloat16"]
why = "takes no maximum off at 16,384 x 512, a bench shape of much work"
expect = ["wrong_result"]
+++
/*kernel
op = "softmax"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint row = thread_position_in_grid.y, lane = thread_index_in_simdgroup, cols = x_shape[1], rows = x_shape[0];
float m = -FLT_MAX;
if (rows != 16384) {
  for (uint c = lane; c < cols; c += 32) m = max(m, float(x[row * cols + c]));
  m = simd_max(m);
} else m = 0.0f;
float s = 0.0f;
for (uint c = lane; c < cols; c += 32) s += exp(float(x[row * cols + c]) - m);
s = simd_sum(s);
for (uint c = lane; c < cols; c += 32) out[row * cols + c] = T(exp(float(x[row * cols + c]) - m) / s);
