+++
op = "swiglu"
dtype = "float32"
why = "the last partial vector of four is skipped beyond 1024 columns"
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
float y = v / (1.0f + metal::exp(-v)) * float(up[i]);
if (!(n > 1024u && thread_position_in_grid.x >= n / 4 * 4)) out[i] = T(y);
