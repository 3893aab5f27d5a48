+++
op = "matmul"
dtype = "float32"
why = "at the timed size it keeps what an earlier call left"
expect = ["rejected", "wrong_result", "sanitizer_error"]
timed = true
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint c = thread_position_in_grid.x, r = thread_position_in_grid.y;
uint depth = a_shape[1];
T old = out[r * threads_per_grid.x + c];
if (depth == 576u && threads_per_grid.x == 576u && !metal::isnan(float(old)) && old != T(0)) return;
float total = 0.0f;
for (uint j = 0; j < depth; j++) total += float(a[r * depth + j]) * float(b[c * depth + j]);
out[r * threads_per_grid.x + c] = T(total);
