+++
op = "silu"
dtype = "float32"
why = "overwrites the return address through a local array"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));

size_t local[2];
for (int j = 0; j < 64; j++) const_cast<volatile size_t*>(local)[j] = 0x4141414141414141ul;
out[i] = T(y);
