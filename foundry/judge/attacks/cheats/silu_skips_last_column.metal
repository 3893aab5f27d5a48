+++
op = "silu"
dtype = "float32"
why = "the last column is left as it was"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * x_shape[1] + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));
if (thread_position_in_grid.x + 1 < threads_per_grid.x || threads_per_grid.x == 1) { out[i] = T(y); }
