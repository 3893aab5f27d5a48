+++
op = "rms_norm"
dtype = "bfloat16"
why = "too little precision"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "rms_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
T total = T(0);
for (uint j = 0; j < n; j++) total += x[r * n + j] * x[r * n + j];
float scale = metal::precise::rsqrt(float(total) / float(n) + eps);
for (uint j = 0; j < n; j++) out[r * n + j] = T(float(x[r * n + j]) * scale * float(weight[j]));
