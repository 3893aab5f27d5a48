+++
op = "matmul"
dtype = "float32"
why = "the inputs are changed"
expect = ["build_error", "wrong_result", "sanitizer_error", "rejected", "crash"]
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
((device T*)a)[r * depth] = T(0);
