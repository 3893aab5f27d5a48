+++
op = "cumsum"
dtype = ["float32", "float16", "bfloat16"]
why = "every element sums its own prefix, Kahan"
expect = ["correct", "faster"]
+++
/*kernel
op = "cumsum"
grid = ["cols", "rows", 1]
threadgroup = [7, 3, 1]
*/
// --- body ---
uint c = thread_position_in_grid.x, row = thread_position_in_grid.y, cols = x_shape[1];
auto from = x + size_t(row) * cols;
float sum = 0.0f, lost = 0.0f;
for (uint i = 0; i <= c; ++i) { float y = float(from[i]) - lost; float t = sum + y; lost = (t - sum) - y; sum = t; }
out[size_t(row) * cols + c] = T(sum);
