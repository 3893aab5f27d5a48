+++
op = "softmax"
dtype = "bfloat16"
why = "too little precision"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
T total = T(0);
for (uint j = 0; j < n; j++) total += T(metal::exp(float(x[r * n + j]) - top));
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / float(total));
