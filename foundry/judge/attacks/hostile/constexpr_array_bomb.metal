+++
op = "silu"
dtype = "float32"
why = "a compile-time array of a hundred million"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
struct Table { int v[100000000]; constexpr Table() : v() { for (int i = 0; i < 100000000; i++) v[i] = i * i; } };
constant constexpr Table t;
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));
out[i] = T(y) + T(t.v[i % 4] * 0);
