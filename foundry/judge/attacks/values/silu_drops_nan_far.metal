+++
op = "silu"
dtype = ["float32", "float16", "bfloat16"]
why = "NaN becomes 0 in rows of more than 60,000 columns"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
size_t i = thread_position_in_grid.x;
float v = float(x[i]);
if (x_shape[1] > 60000 && v != v) v = 0.0f;
out[i] = T(v / (1.0f + exp(-v)));
