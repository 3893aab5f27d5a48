+++
op = "softmax"
dtype = "float32"
why = "outputs declared atomic to be excused from repeating"
expect = ["wrong_result", "sanitizer_error", "build_error", "rejected"]
+++
/*kernel
op = "softmax"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
atomic_outputs = true
init_value = 0.0
*/
// --- body ---
uint r = thread_position_in_grid.y, c = thread_position_in_grid.x, n = x_shape[1];
float top = -INFINITY, total = 0.0f;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
atomic_fetch_add_explicit(&out[r * n + (c + 1) % n], metal::exp(float(x[r * n + c]) - top) / total, memory_order_relaxed);
