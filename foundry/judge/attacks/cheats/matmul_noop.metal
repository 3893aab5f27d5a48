+++
op = "matmul"
dtype = "float32"
why = "nothing is written"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash"]
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [16, 16, 1]
*/
// --- body ---
uint c = thread_position_in_grid.x;
