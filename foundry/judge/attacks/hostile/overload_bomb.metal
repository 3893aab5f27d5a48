+++
op = "silu"
dtype = "float32"
why = "nested lambdas that double"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
template <typename U> auto f(U u) { return [=](auto) { return f(f(u)); }(u); }
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));
out[i] = T(y) + T(0 * f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(f(1)))))))))))))))));
