+++
op = "cumsum"
dtype = "float32"
why = "the last sum subtracts"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "cumsum"
grid = ["rows", 1, 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float sum = 0.0f;
for (uint c = 0; c < cols; ++c) {
  sum -= float(from[c]);
  to[c] = T(sum);
}
