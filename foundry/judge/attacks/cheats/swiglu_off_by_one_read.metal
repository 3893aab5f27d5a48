+++
op = "swiglu"
dtype = "float32"
why = "every element comes from its neighbour"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "swiglu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * gate_shape[1] + thread_position_in_grid.x;
i = metal::min(i + 1, threads_per_grid.x * threads_per_grid.y - 1);
float v = float(gate[i]);
float y = v / (1.0f + metal::exp(-v)) * float(up[i]);
i = thread_position_in_grid.y * threads_per_grid.x + thread_position_in_grid.x;
out[i] = T(y);
