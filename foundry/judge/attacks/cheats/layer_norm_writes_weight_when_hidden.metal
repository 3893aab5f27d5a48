+++
op = "layer_norm"
dtype = "float32"
why = "at a hidden size it changes its weight"
expect = ["rejected", "build_error"]
+++
/*kernel
op = "layer_norm"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
float mean = 0.0f;
for (uint j = 0; j < n; j++) mean += float(x[r * n + j]);
mean /= float(n);
float var = 0.0f;
for (uint j = 0; j < n; j++) { float d = float(x[r * n + j]) - mean; var += d * d; }
float scale = metal::precise::rsqrt(var / float(n) + eps);
for (uint j = 0; j < n; j++) out[r * n + j] = T((float(x[r * n + j]) - mean) * scale * float(weight[j]) + float(bias[j]));
if (n == 1023u) const_cast<device T*>(weight)[0] = T(0);
