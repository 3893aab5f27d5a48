/*kernel
op = "matmul"
grid = ["m", "n", 1]
threadgroup = ["SIDE", "SIDE", 1]
[constants]
SIDE = 8
*/
// --- body ---
const uint row = thread_position_in_grid.x, column = thread_position_in_grid.y;
const uint depth = a_shape[1];
float sum = 0.0f;
for (uint k = 0; k < depth; ++k) sum += a[row * depth + k] * b[column * depth + k];
out[row * b_shape[0] + column] = sum;
