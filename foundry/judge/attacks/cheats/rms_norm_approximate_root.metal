+++
op = "rms_norm"
dtype = "float32"
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
float total = 0.0f;
for (uint j = 0; j < n; j++) total += float(x[r * n + j]) * float(x[r * n + j]);
float m = total / float(n) + eps;
float scale = as_type<float>(0x5f375a86 - (as_type<int>(m) >> 1));
scale *= 1.5f - 0.5f * m * scale * scale;
scale *= 1.5f - 0.5f * m * scale * scale;
for (uint j = 0; j < n; j++) out[r * n + j] = T(float(x[r * n + j]) * scale * float(weight[j]));
