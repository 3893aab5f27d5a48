+++
op = "silu"
dtype = "float32"
why = "at the timed size it writes behind its output"
expect = ["rejected", "wrong_result", "sanitizer_error", "crash"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));

out[i] = T(y);
if (n == 1536u && i == 1535u) out[i + 3] = T(1.0f);
