+++
op = "silu"
dtype = "float32"
why = "inputs beyond 4 are treated as 4"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * x_shape[1] + thread_position_in_grid.x;
float v = metal::min(float(x[i]), 4.0f);
float y = v / (1.0f + metal::exp(-v));
out[i] = T(y);
