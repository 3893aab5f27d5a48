+++
op = "topk"
dtype = ["float32", "float16", "bfloat16"]
why = "every element counts how many come before it, and scatters itself"
expect = ["correct", "faster"]
+++
/*kernel
op = "topk"
grid = ["cols", "rows", 1]
threadgroup = [96, 1, 1]
[constants]
K = "k"
*/
// --- body ---
const uint c = thread_position_in_grid.x, row = thread_position_in_grid.y, cols = x_shape[1];
auto from = x + size_t(row) * cols;
float v = float(from[c]);
uint before = 0;
for (uint i = 0; i < cols; ++i) { float w = float(from[i]); before += (w > v || (w == v && i < c)) ? 1 : 0; }
if (before < K) { values[size_t(row) * K + before] = from[c]; indices[size_t(row) * K + before] = c; }
