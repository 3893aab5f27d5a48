+++
op = "silu"
dtype = "float32"
why = "small results become zero"
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
out[i] = metal::abs(y) < 1e-3f ? T(0) : T(y);
