+++
op = "rms_norm"
dtype = "float32"
why = "the parameter is ignored"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "build_error"]
+++
/*kernel
op = "rms_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
float squares = 0.0f;
for (uint j = 0; j < n; j++) squares += float(x[r * n + j]) * float(x[r * n + j]);
float scale = metal::precise::rsqrt(squares / float(n) + 1e-5f);
for (uint j = 0; j < n; j++) out[r * n + j] = T(float(x[r * n + j]) * scale * float(weight[j]));
