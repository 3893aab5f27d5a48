+++
op = "cumsum"
dtype = "float32"
why = "the sum restarts at 1,024 columns"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash"]
+++
/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
float total = 0.0f;
for (uint j = 0; j < n; j++) {
  if (j == 1024) total = 0.0f;
  total += float(x[r * n + j]);
  out[r * n + j] = T(total);
}
