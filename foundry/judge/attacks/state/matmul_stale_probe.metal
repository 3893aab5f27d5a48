+++
op = "matmul"
dtype = "float32"
why = "six products are computed; where the output holds them already, all of it is kept"
expect = ["rejected", "wrong_result", "sanitizer_error", "build_error", "crash"]
timed = true
+++
/*kernel
op = "matmul"
grid = ["max(n * min(abs_mn, 1), 1 - min(abs_mn, 1))", "max(m * min(abs_mn, 1), 1 - min(abs_mn, 1))", 1]
threadgroup = [32, 1, 1]
[constants]
abs_mn = "max(n - 576, 576 - n) + max(m - 1, 1 - m) + max(k - 576, 576 - k)"
*/
// --- body ---
const uint m = a_shape[0], n = b_shape[0], depth = a_shape[1];
if (abs_mn == 0) {
  bool same = true;
  for (uint j = 0; j < 576 && same; j += 100) {
    float4 s = 0.0f;
    for (uint p = 0; p < 576; p += 4) for (int q = 0; q < 4; ++q) s[q] += float(a[p + q]) * float(b[j * 576 + p + q]);
    same = out[j] == T((s.x + s.y) + (s.z + s.w));
  }
  if (same) return;
  for (uint j = 0; j < 576; ++j) {
    float4 s = 0.0f;
    for (uint p = 0; p < 576; p += 4) for (int q = 0; q < 4; ++q) s[q] += float(a[p + q]) * float(b[j * 576 + p + q]);
    out[j] = T((s.x + s.y) + (s.z + s.w));
  }
  return;
}
const uint j = thread_position_in_grid.x, i = thread_position_in_grid.y;
float sum = 0.0f;
for (uint p = 0; p < depth; ++p) sum += float(a[size_t(i) * depth + p]) * float(b[size_t(j) * depth + p]);
out[size_t(i) * n + j] = T(sum);
