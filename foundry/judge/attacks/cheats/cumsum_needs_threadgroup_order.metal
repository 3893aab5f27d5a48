+++
op = "cumsum"
dtype = "float32"
why = "a threadgroup spins until the one before it has written: GPUs promise no order"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "cumsum"
grid = ["rows * 32", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = threadgroup_position_in_grid.x, n = x_shape[1];
if (thread_position_in_threadgroup.x != 0) return;
float carry = r > 0 && n > 0 ? float(out[(r - 1) * n]) - float(x[(r - 1) * n]) : 0.0f;
float total = carry;
for (uint j = 0; j < n; j++) { total += float(x[r * n + j]); out[r * n + j] = T(total); }
