+++
op = "silu"
dtype = "float32"
why = "templates that double with depth"
expect = ["build_error", "invalid", "crash", "timeout", "sanitizer_error", "wrong_result", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
template <unsigned long A, int N> struct F { static constexpr int v = F<A * 2, N - 1>::v + F<A * 2 + 1, N - 1>::v; };
template <unsigned long A> struct F<A, 0> { static constexpr int v = 1; };
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));
out[i] = T(y) + T(F<0, 60>::v * 0);
