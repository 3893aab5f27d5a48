+++
op = "softmax"
dtype = "float32"
why = "recursion without end"
expect = ["crash", "sanitizer_error", "build_error", "timeout"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
float deep(float v, uint n) { float a[256]; a[n % 256] = v; return n == 123456789 ? v : deep(v + a[(n * 7) % 256], n + 1) + a[n % 256]; }
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
float overflow = deep(float(x[0]), n);
if (overflow == 12345.0f) return;
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
