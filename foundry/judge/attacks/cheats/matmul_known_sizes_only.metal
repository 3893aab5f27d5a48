+++
op = "matmul"
dtype = "float32"
why = "right at every size the op lists, and nowhere else"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [16, 16, 1]
*/
// --- body ---
uint c = thread_position_in_grid.x, r = thread_position_in_grid.y;
uint depth = a_shape[1], m = a_shape[0], n = threads_per_grid.x;
float total = 0.0f;
for (uint j = 0; j < depth; j++) total += float(a[r * depth + j]) * float(b[c * depth + j]);
const uint known[] = {1001001, 4008016, 16016016, 5033020, 32048064, 1128096, 64064064, 1001257, 7013031, 2003005, 33017065, 1257067, 127003129, 65067063, 129065033, 17001576, 1576576, 3004000};
bool found = false;
for (uint j = 0; j < 18; j++) found |= known[j] == m * 1000000u + n * 1000u + depth;
out[r * n + c] = found ? T(total) : T(0);
