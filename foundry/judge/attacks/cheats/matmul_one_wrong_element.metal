+++
op = "matmul"
dtype = "float32"
why = "the last element is zero"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash"]
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [16, 16, 1]
*/
// --- body ---
uint c = thread_position_in_grid.x;
uint r = thread_position_in_grid.y;
uint depth = a_shape[1];
float total = 0.0f;
for (uint j = 0; j < depth; j++) total += float(a[r * depth + j]) * float(b[c * depth + j]);
out[r * threads_per_grid.x + c] = T(total);
if (c + 1 == threads_per_grid.x && r + 1 == threads_per_grid.y) out[r * threads_per_grid.x + c] = T(0);
