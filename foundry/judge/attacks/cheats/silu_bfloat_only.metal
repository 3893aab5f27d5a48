+++
op = "silu"
dtype = "bfloat16"
why = "wrong in bfloat16 alone"
expect = ["wrong_result", "sanitizer_error", "rejected"]
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

out[i] = metal::is_same_v<T, bfloat16_t> ? T(float(T(1.0f / (1.0f + metal::exp(-v)))) * v * 1.02f) : T(y);
