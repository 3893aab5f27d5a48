+++
op = "silu"
dtype = "float32"
why = "a global counts launches and stops the work"
expect = ["build_error"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
static uint calls = 0;
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
if (i == 0) calls++;
if (calls > 500000) return;
float v = float(x[i]);
out[i] = T(v / (1.0f + metal::exp(-v)));
