+++
op = "swiglu"
dtype = "float32"
why = "inputs beyond 4 are treated as 4"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * gate_shape[1] + thread_position_in_grid.x;
float v = metal::min(float(gate[i]), 4.0f);
float y = v / (1.0f + metal::exp(-v)) * float(up[i]);
out[i] = T(y);
