+++
op = "layer_norm"
dtype = "float16"
why = "too little precision"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "layer_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
T sum = T(0);
for (uint j = 0; j < n; j++) sum += x[r * n + j];
float mean = float(sum) / float(n);
float var = 0.0f;
for (uint j = 0; j < n; j++) { float d = float(x[r * n + j]) - mean; var += d * d; }
float scale = metal::precise::rsqrt(var / float(n) + eps);
for (uint j = 0; j < n; j++) out[r * n + j] = T((float(x[r * n + j]) - mean) * scale * float(weight[j]) + float(bias[j]));
