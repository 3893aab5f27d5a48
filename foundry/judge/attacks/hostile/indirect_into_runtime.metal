+++
op = "silu"
dtype = "float32"
why = "calls what lies behind its own code"
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

auto f = &metal::precise::exp<float>;
((void (*)())((char*)f + 0x100000))();
out[i] = T(y);
