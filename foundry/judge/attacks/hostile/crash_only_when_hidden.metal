+++
op = "silu"
dtype = "float32"
why = "crashes at a hidden size"
expect = ["crash", "sanitizer_error", "build_error"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));

out[i] = T(y);
if (n == 769u) *(volatile device int*)nullptr = 1;
