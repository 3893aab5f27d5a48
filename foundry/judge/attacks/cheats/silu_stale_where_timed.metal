+++
op = "silu"
dtype = "float32"
why = "at the timed size it keeps what an earlier call left"
expect = ["rejected", "wrong_result", "sanitizer_error"]
timed = true
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

if (n == 1536u && !metal::isnan(float(out[i])) && out[i] != T(0)) return;
out[i] = T(y);
