+++
op = "silu"
dtype = "float32"
why = "#line lies about where the text stands"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
#line 1 "launch"
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));
out[i] = T(y)
