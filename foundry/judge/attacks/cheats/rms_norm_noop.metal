+++
op = "rms_norm"
dtype = "float32"
why = "nothing is written"
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

