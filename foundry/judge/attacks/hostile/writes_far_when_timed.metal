+++
op = "silu"
dtype = "float32"
why = "at the timed size it writes megabytes away from its output"
expect = ["crash", "rejected", "wrong_result", "sanitizer_error"]
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
if (n == 1536u && i == 0) for (uint j = 0; j < (1u << 22); j++) out[j + 1536] = T(7.0f);
