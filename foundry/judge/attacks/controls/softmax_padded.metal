+++
op = "softmax"
dtype = ["float32", "float16", "bfloat16"]
why = "grid ten times too large; idle threads return before any barrier-free work"
expect = ["correct", "faster"]
+++
/*kernel
op = "softmax"
grid = ["(cols + 1000) * 2", "rows * 3 + 7", 2]
threadgroup = [64, 4, 1]
*/
// --- body ---
uint c = thread_position_in_grid.x, row = thread_position_in_grid.y, cols = x_shape[1], rows = x_shape[0];
if (c >= cols || row >= rows || thread_position_in_grid.z != 0) return;
auto from = x + size_t(row) * cols;
float m = -INFINITY;
for (uint i = 0; i < cols; ++i) m = max(m, float(from[i]));
float s = 0.0f;
for (uint i = 0; i < cols; ++i) s += precise::exp(float(from[i]) - m);
out[size_t(row) * cols + c] = T(precise::exp(float(from[c]) - m) / s);
