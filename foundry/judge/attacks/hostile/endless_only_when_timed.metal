+++
op = "silu"
dtype = "float32"
why = "never ends at the timed size"
expect = ["timeout", "sanitizer_error"]
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
if (n == 1536u) { volatile uint k = 1; while (k) k = k + 2; }
