+++
op = "matmul"
dtype = "float32"
why = "the last loop ends one step early"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [16, 16, 1]
*/
// --- body ---
const uint n = b_shape[0];
const uint depth = a_shape[1];
const uint row = thread_position_in_grid.y;
const uint column = thread_position_in_grid.x;
auto a_row = a + size_t(row) * depth;
auto b_row = b + size_t(column) * depth;

float sum = 0.0f;
for (uint i = 0; i < depth - 1; ++i) {
  sum += float(a_row[i]) * float(b_row[i]);
}
out[size_t(row) * n + column] = T(sum);
