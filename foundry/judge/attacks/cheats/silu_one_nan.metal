+++
op = "silu"
dtype = "float32"
why = "the last element is NaN"
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
out[i] = i + 1 == threads_per_grid.x * threads_per_grid.y ? T(NAN) : T(y);
