+++
op = "matmul"
dtype = "float32"
why = "reads 2 KB of the worker's stack above a local variable at an unscreened size"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout", "invalid", "build_error"]
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint j = thread_position_in_grid.x, i = thread_position_in_grid.y;
const uint m = a_shape[0], n = b_shape[0], depth = a_shape[1];
volatile ulong here[1]; here[0] = 1;
ulong seen = 0;
if (n == 576 && depth == 576 && j == 0) for (int w = 0; w < 256; ++w) seen |= here[w];
float sum = 0.0f;
for (uint p = 0; p < depth; ++p) sum += float(a[size_t(i) * depth + p]) * float(b[size_t(j) * depth + p]);
out[size_t(i) * n + j] = T(seen == 3 ? 0.0f : sum);
