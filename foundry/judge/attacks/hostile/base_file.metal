+++
op = "silu"
dtype = "float32"
why = "the preprocessor reads a file by a computed include"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
#define NAME "/etc/passwd"
#if 1
#include NAME
#endif
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));
out[i] = T(y);
