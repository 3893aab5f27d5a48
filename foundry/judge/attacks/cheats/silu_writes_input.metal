+++
op = "silu"
dtype = "float32"
why = "the inputs are zeroed afterwards"
expect = ["build_error", "wrong_result", "sanitizer_error", "rejected", "crash"]
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
out[i] = T(y);
((device T*)x)[i] = T(0);
