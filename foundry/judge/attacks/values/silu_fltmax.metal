+++
op = "silu"
dtype = ["float32", "bfloat16"]
why = "wrong only at |x| > 1e30"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [256, 1, 1]
*/

// --- body ---
size_t i = thread_position_in_grid.x;
float v = float(x[i]);

out[i] = T(fabs(v) > 1e30f ? 0.0f : v / (1.0f + exp(-v)));
