+++
op = "softmax"
dtype = "float32"
why = "whatever was in memory is kept"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
for (uint j = 0; j < n; j++) out[r * n + j] = out[r * n + j];
