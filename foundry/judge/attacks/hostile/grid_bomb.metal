+++
op = "silu"
dtype = "float32"
why = "a grid of 2^62 threads"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = [2000000000, 2000000000, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
if (thread_position_in_grid.y == 4000000000u) out[0] = T(0);
