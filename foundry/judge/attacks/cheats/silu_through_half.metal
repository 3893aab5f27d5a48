+++
op = "silu"
dtype = "float32"
why = "too little precision"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * x_shape[1] + thread_position_in_grid.x;
half v = half(float(x[i]));
out[i] = T(v / (1.0h + metal::exp(-v)));
