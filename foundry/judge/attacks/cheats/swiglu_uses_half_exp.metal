+++
op = "swiglu"
dtype = "float32"
why = "float32 through the half exponential"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint n = gate_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(gate[i]);
out[i] = T(v / (1.0f + float(metal::exp(half(-v)))) * float(up[i]));
