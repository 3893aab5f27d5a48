+++
op = "rms_norm"
dtype = "float32"
why = "a local variable is read before it is set"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "rms_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
float total;
for (uint j = 0; j < n; j++) total += float(x[r * n + j]) * float(x[r * n + j]);
float scale = metal::precise::rsqrt(total / float(n) + eps);
for (uint j = 0; j < n; j++) out[r * n + j] = T(float(x[r * n + j]) * scale * float(weight[j]));
