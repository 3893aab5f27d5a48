+++
op = "cumsum"
dtype = "float32"
why = "at the timed size it keeps what an earlier call left"
expect = ["rejected", "wrong_result", "sanitizer_error"]
timed = true
+++
/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
if (n == 2048u && float(out[r * n]) == float(x[r * n]) && out[r * n + n - 1] != T(0) && !metal::isnan(float(out[r * n + n - 1]))) return;
float total = 0.0f;
for (uint j = 0; j < n; j++) { total += float(x[r * n + j]); out[r * n + j] = T(total); }
