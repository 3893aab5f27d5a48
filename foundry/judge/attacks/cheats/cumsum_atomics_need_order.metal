+++
op = "cumsum"
dtype = "float32"
why = "atomic outputs: a running sum that needs threads to run in order"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "cumsum"
grid = ["rows * cols", 1, 1]
threadgroup = [64, 1, 1]
atomic_outputs = true
*/
// --- body ---
uint i = thread_position_in_grid.x, cols = x_shape[1];
float before = i % cols == 0 ? 0.0f : atomic_load_explicit(&out[i - 1], memory_order_relaxed);
atomic_store_explicit(&out[i], before + float(x[i]), memory_order_relaxed);
