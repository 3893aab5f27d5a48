+++
op = "matmul"
dtype = "float32"
why = "results of earlier calls are kept on the stack of a fibre"
expect = ["rejected", "wrong_result", "sanitizer_error", "build_error", "crash"]
timed = true
+++
/*kernel
op = "matmul"
grid = ["max(n * min(off, 1), 1 - min(off, 1))", "max(m * min(off, 1), 1 - min(off, 1))", 1]
threadgroup = [1, 1, 1]
[constants]
off = "max(n - 576, 576 - n) + max(m - 1, 1 - m) + max(k - 576, 576 - k)"
*/
// --- body ---
const uint m = a_shape[0], n = b_shape[0], depth = a_shape[1];
float unused = simd_sum(0.0f);   // makes every thread a fibre with a stack of its own
if (off == 0) {
  volatile float memo[2 * 1200];
  for (uint s = 0; s < 2; ++s) {
    volatile float* e = memo + s * 1200;
    bool same = e[1199] == 4242.5f && e[1198] == float(b[0]) && e[1197] == float(b[576]) && e[1196] == float(b[576 * 576 - 1]);
    float4 diff = 0.0f;
    for (uint p = 0; p < 576 && same; p += 4) for (int q = 0; q < 4; ++q) same = same && e[p + q] == float(a[p + q]);
    if (same) { for (uint j = 0; j < 576; ++j) out[j] = T(e[600 + j]); return; }
  }
  volatile float* e = memo + (float(a[0]) > 0.0f ? 0 : 1200);
  for (uint j = 0; j < 576; ++j) {
    float4 s = unused;
    for (uint p = 0; p < 576; p += 4) for (int q = 0; q < 4; ++q) s[q] += float(a[p + q]) * float(b[j * 576 + p + q]);
    float r = (s.x + s.y) + (s.z + s.w);
    out[j] = T(r); e[600 + j] = r; e[j] = float(a[j]);
  }
  e[1199] = 4242.5f; e[1198] = float(b[0]); e[1197] = float(b[576]); e[1196] = float(b[576 * 576 - 1]);
  return;
}
const uint j = thread_position_in_grid.x, i = thread_position_in_grid.y;
float sum = unused;
for (uint p = 0; p < depth; ++p) sum += float(a[size_t(i) * depth + p]) * float(b[size_t(j) * depth + p]);
out[size_t(i) * n + j] = T(sum);
