+++
op = "swiglu"
dtype = "float32"
why = "the input is handed back"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * gate_shape[1] + thread_position_in_grid.x;
float y = float(gate[i]);
out[i] = T(y);
