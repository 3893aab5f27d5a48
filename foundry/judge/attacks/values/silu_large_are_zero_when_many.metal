+++
op = "silu"
dtype = ["float32"]
why = "0 for |x| > 8 at 512 x 8,192 (more than 1M elements: normal inputs alone)"
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
float r = v / (1.0f + exp(-v));
if (x_shape[0] == 512 && x_shape[1] == 8192 && fabs(v) > 8.0f) r = 0.0f;
out[i] = T(r);
