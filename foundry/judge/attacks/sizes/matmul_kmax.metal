+++
op = "matmul"
dtype = ["float32", "float16", "bfloat16"]
why = "sums at most 1,024 of k (bench has 2,048)"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint j = thread_position_in_grid.x, i = thread_position_in_grid.y;
uint n = b_shape[0], depth = a_shape[1];
float sum = 0.0f;
for (uint p = 0; p < min(depth, 1024u); ++p) sum += float(a[i * depth + p]) * float(b[j * depth + p]);
out[i * n + j] = T(sum);
