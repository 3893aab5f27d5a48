+++
op = "softmax"
dtype = "float32"
why = "at the timed size it keeps what an earlier call left"
expect = ["rejected", "wrong_result", "sanitizer_error"]
timed = true
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
if (x_shape[1] == 512 && !metal::isnan(float(out[thread_position_in_grid.x * 512])) && out[thread_position_in_grid.x * 512] != T(0)) return;
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
