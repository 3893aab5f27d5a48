+++
op = "swiglu"
dtype = "float32"
why = "one row too few is launched"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "max(rows - 1, 1)", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * gate_shape[1] + thread_position_in_grid.x;
float v = float(gate[i]);
float y = v / (1.0f + metal::exp(-v)) * float(up[i]);
out[i] = T(y);
