+++
op = "rms_norm"
dtype = "float16"
why = "squares overflow in float16 beyond 256"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "rms_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
float total = 0.0f;
for (uint j = 0; j < n; j++) { half s = half(x[r * n + j]) * half(x[r * n + j]); total += float(s); }
float scale = metal::precise::rsqrt(total / float(n) + eps);
for (uint j = 0; j < n; j++) out[r * n + j] = T(float(x[r * n + j]) * scale * float(weight[j]));
