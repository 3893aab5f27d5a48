+++
op = "layer_norm"
dtype = "float32"
why = "at the timed size mean(x^2) - mean(x)^2 cancels"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "layer_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
float mean = 0.0f, square = 0.0f;
for (uint j = 0; j < n; j++) { float v = float(x[r * n + j]); mean += v; square += v * v; }
mean /= float(n);
float var = 0.0f;
if (n == 576u) var = metal::max(square / float(n) - mean * mean, 0.0f);
else { for (uint j = 0; j < n; j++) { float d = float(x[r * n + j]) - mean; var += d * d; } var /= float(n); }
float scale = metal::precise::rsqrt(var + eps);
for (uint j = 0; j < n; j++) out[r * n + j] = T((float(x[r * n + j]) - mean) * scale * float(weight[j]) + float(bias[j]));
