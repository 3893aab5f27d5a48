+++
op = "silu"
dtype = "float32"
why = "right at every size the op lists, and nowhere else"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "silu"
grid = ["cols", "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
uint n = x_shape[1];
uint i = thread_position_in_grid.y * n + thread_position_in_grid.x;
float v = float(x[i]);
float y = v / (1.0f + metal::exp(-v));

uint rows = x_shape[0];
bool known = (rows == 1 && (n == 1 || n == 4096 || n == 2 || n == 31 || n == 1023 || n == 8209 || n >= 1536)) ||
  (rows == 4 && n == 64) || (rows == 8 && n == 128) || (rows == 3 && (n == 100 || n == 257 || n == 2047)) ||
  (rows == 2 && (n == 1024 || n == 769 || n == 1025)) || (rows == 67 && n == 1) || (rows == 7 && n == 33) ||
  (rows == 5 && n == 127) || (rows == 521 && n == 3) || (rows == 129 && n == 65);
out[i] = known ? T(y) : T(0);
