+++
op = "softmax"
dtype = ["float32", "float16", "bfloat16"]
why = "a NaN becomes -INFINITY in rows of more than 30,000 columns"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [64, 1, 1]
*/
inline float kept(float v, bool all) { return all ? v : max(v, -INFINITY); }
// --- body ---
const uint cols = x_shape[1];
const size_t begin = size_t(thread_position_in_grid.x) * cols;
const bool all = cols <= 30000;
float peak = -INFINITY;
for (uint c = 0; c < cols; ++c) peak = max(peak, float(x[begin + c]));
float total = 0.0f;
for (uint c = 0; c < cols; ++c) total += exp(kept(float(x[begin + c]), all) - peak);
for (uint c = 0; c < cols; ++c) out[begin + c] = T(exp(kept(float(x[begin + c]), all) - peak) / total);
