+++
op = "softmax"
dtype = "float32"
why = "the inputs are zeroed afterwards"
expect = ["build_error", "wrong_result", "sanitizer_error", "rejected", "crash"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
for (uint j = 0; j < n; j++) ((device T*)x)[r * n + j] = T(0);
