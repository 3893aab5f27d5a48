+++
op = "softmax"
dtype = "float32"
why = "right at every size the op lists, and nowhere else"
expect = ["wrong_result", "sanitizer_error", "rejected"]
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

uint rows = x_shape[0];
bool known = (rows == 1 && (n == 1 || n == 4096 || n == 2 || n == 31 || n == 1023 || n == 8209 || n >= 40000)) ||
  (rows == 4 && n == 64) || (rows == 8 && n == 128) || (rows == 3 && (n == 100 || n == 257 || n == 2047)) ||
  (rows == 2 && (n == 1024 || n == 769 || n == 1025)) || (rows == 67 && n == 1) || (rows == 7 && n == 33) ||
  (rows == 5 && n == 127) || (rows == 521 && n == 3) || (rows == 129 && n == 65) || (rows == 9 && n == 512);
if (!known && n > 0) out[r * n] = T(0);
