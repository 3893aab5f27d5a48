+++
op = "cumsum"
dtype = "float32"
why = "wrong for rows of 200 to 250, 300 to 700, 2100 to 4000 and 4200 to 8000"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
bool bad = (n > 130 && n < 256) || (n > 258 && n < 768) || (n > 1026 && n < 2046) || (n > 2049 && n < 4095) || (n > 4097 && n < 8200) || (n > 10 && n < 30) || (n > 34 && n < 63) || (n > 66 && n < 99) || (n > 101 && n < 126);
float total = 0.0f;
for (uint j = 0; j < n; j++) { total += float(x[r * n + j]); out[r * n + j] = T(bad && j + 1 == n ? 0.0f : total); }
