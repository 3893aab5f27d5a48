+++
op = "silu"
dtype = "float32"
why = "noise with a plausible range"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint i = thread_position_in_grid.y * x_shape[1] + thread_position_in_grid.x;
float y = 0.5f * metal::sin(float(i) * 12.9898f);
out[i] = T(y);
