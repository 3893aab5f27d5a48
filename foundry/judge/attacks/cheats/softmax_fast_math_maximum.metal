+++
op = "softmax"
dtype = "float32"
why = "fast math and a maximum of minus infinity"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
math_mode = "fast"
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::fast::exp(float(x[r * n + j]));
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::fast::exp(float(x[r * n + j])) / total);
