+++
op = "softmax"
dtype = "float32"
why = "64 MiB on a stack"
expect = ["crash", "sanitizer_error", "build_error", "timeout"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
float big[1 << 24];
for (uint j = 0; j < (1u << 24); j++) big[j] = float(j);
if (big[n] < 0.0f) return;
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
