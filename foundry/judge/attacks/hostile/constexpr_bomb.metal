+++
op = "softmax"
dtype = "float32"
why = "a constant that takes for ever"
expect = ["build_error", "invalid", "timeout"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
constexpr long burn(long n) { long t = 0; for (long i = 0; i < n; i++) for (long j = 0; j < n; j++) t += i ^ j; return t; }
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
constexpr long burnt = burn(100000000);
if (burnt == 1) return;
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
