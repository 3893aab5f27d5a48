+++
op = "silu"
dtype = "float32"
why = "an attribute that runs code at the end of a scope"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
inline void leave(int* p) { *(volatile int*)0 = 1; }
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));

int guard __attribute__((cleanup(leave))) = 0;
out[i] = T(y);
