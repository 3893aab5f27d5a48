+++
op = "cumsum"
dtype = "bfloat16"
why = "too little precision"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
T total = T(0);
for (uint j = 0; j < n; j++) { total += x[r * n + j]; out[r * n + j] = total; }
