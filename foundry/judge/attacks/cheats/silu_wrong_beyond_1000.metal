+++
op = "silu"
dtype = "float16"
why = "float16 values beyond 1000 give infinity"
expect = ["wrong_result", "sanitizer_error", "rejected"]
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

out[i] = metal::abs(v) > 1000.0f ? T(INFINITY) : T(y);
