+++
op = "silu"
dtype = "float32"
why = "a static inside a function remembers"
expect = ["build_error"]
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

static uint n_calls;
n_calls++;
out[i] = n_calls == 4000000u ? T(0) : T(y);
