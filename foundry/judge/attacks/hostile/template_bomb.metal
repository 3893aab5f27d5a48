+++
op = "softmax"
dtype = "float32"
why = "templates without end"
expect = ["build_error", "invalid", "timeout"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
template <int N> struct B { static const int v = B<N - 1>::v + B<N - 2>::v * 2; };
template <int N> struct D { typedef D<N + 1> next; static const int v = next::v; };
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
uint bomb = D<0>::v;
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
