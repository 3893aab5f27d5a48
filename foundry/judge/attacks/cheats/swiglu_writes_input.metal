+++
op = "swiglu"
dtype = "float32"
why = "the inputs are zeroed afterwards"
expect = ["build_error", "wrong_result", "sanitizer_error", "rejected", "crash"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * gate_shape[1] + thread_position_in_grid.x;
float v = float(gate[i]);
float y = v / (1.0f + metal::exp(-v)) * float(up[i]);
out[i] = T(y);
((device T*)gate)[i] = T(0);
