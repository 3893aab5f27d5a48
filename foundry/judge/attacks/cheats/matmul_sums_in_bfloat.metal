+++
op = "matmul"
dtype = "bfloat16"
why = "too little precision"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [16, 16, 1]
*/
// --- body ---
uint c = thread_position_in_grid.x, r = thread_position_in_grid.y;
uint depth = a_shape[1];
T total = T(0);
for (uint j = 0; j < depth; j++) total += a[r * depth + j] * b[c * depth + j];
out[r * threads_per_grid.x + c] = total;
