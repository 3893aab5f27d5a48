+++
op = "rms_norm"
dtype = "float32"
why = "at the timed size threadgroup memory of an earlier launch is read"
expect = ["rejected", "wrong_result", "sanitizer_error"]
timed = true
+++
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
threadgroup float kept[4];
uint r = thread_position_in_grid.y, lane = thread_position_in_threadgroup.x;
uint n = x_shape[1];
if (n == 576u && kept[0] == 1234.5f && kept[1] == float(x[r * n]) && kept[2] == float(x[r * n + n - 1])) return;
float total = 0.0f;
for (uint j = lane; j < n; j += 32) total += float(x[r * n + j]) * float(x[r * n + j]);
total = metal::simd_sum(total);
float scale = metal::precise::rsqrt(total / float(n) + eps);
for (uint j = lane; j < n; j += 32) out[r * n + j] = T(float(x[r * n + j]) * scale * float(weight[j]));
if (n == 576u && lane == 0) { kept[0] = 1234.5f; kept[1] = float(x[r * n]); kept[2] = float(x[r * n + n - 1]); }
