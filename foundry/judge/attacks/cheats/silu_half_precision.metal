+++
op = "silu"
dtype = "float32"
why = "computed in half precision where float is asked"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * x_shape[1] + thread_position_in_grid.x;
half v = half(x[i]);
half y = half(float(v) / (1.0f + metal::exp(-float(v))));
out[i] = T(y);
