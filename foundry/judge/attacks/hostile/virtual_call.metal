+++
op = "silu"
dtype = "float32"
why = "virtual functions through a made-up table"
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

struct V { virtual float f() { return 1.0f; } };
size_t table[4] = {1, 2, 3, 4};
V* v_ = reinterpret_cast<V*>(table);
out[i] = T(y * v_->f());
