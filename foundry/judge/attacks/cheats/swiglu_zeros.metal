+++
op = "swiglu"
dtype = "float32"
why = "every element is zero"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * gate_shape[1] + thread_position_in_grid.x;
float y = 0.0f;
out[i] = T(y);
