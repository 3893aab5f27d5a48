+++
op = "rms_norm"
dtype = "float32"
why = "every element is zero"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "build_error"]
+++
/*kernel
op = "rms_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
for (uint j = 0; j < n; j++) out[r * n + j] = T(0);
