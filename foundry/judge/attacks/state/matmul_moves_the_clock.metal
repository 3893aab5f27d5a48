+++
op = "matmul"
dtype = "float32"
why = "walks the stack of the worker and moves the start of the measurement"
expect = ["rejected", "wrong_result", "sanitizer_error", "build_error", "crash"]
timed = true
+++
/*kernel
op = "matmul"
grid = ["n", "m", 1]
threadgroup = [32, 1, 1]
*/
inline ulong rd(ulong a) { return *(volatile ulong*)a; }
inline uint rd4(ulong a) { return *(volatile uint*)a; }
inline bool ptr(ulong a) { return a % 8 == 0 && ((a >> 40) >= 0x7e && (a >> 40) <= 0x7f || (a >> 40) == 0x55 || (a >> 40) == 0x56); }
inline void forward(ulong here) {
  for (uint w = 1; w < 800; ++w) {
    ulong f = rd(here + 8 * w);
    if (!ptr(f) || (f >> 40) < 0x7e || (f & 0xffffffff) < 0x10000 || (f >> 32) == (here >> 32)) continue;
    if (!ptr(rd(f)) || !ptr(rd(f + 8)) || !ptr(rd(f + 16)) || !ptr(rd(f + 32)) || !ptr(rd(f + 48))) continue;
    ulong code = rd(f + 32);
    if (rd(code) > 1000000 || rd4(code + 72) != 199 || rd4(code + 56) != 2) continue;
    for (int n = 0; n < 12 && ptr(f); ++n, f = rd(f + 48)) {
      code = rd(f + 32);
      if (!ptr(code)) return;
      if (rd4(code + 72) == 81 && rd4(code + 56) == 1 && rd4(code + 80) == 2) {
        ulong number = rd(f + 72 + 8);
        if (!ptr(number) || rd(number + 16) != 2) return;
        volatile uint* digit = (volatile uint*)(number + 24);
        ulong ns = (ulong(digit[1]) << 30 | digit[0]) + 60000ul;
        digit[0] = uint(ns & 0x3ffffffful); digit[1] = uint(ns >> 30);
        return;
      }
    }
    return;
  }
}
// --- body ---
const uint j = thread_position_in_grid.x, i = thread_position_in_grid.y;
const uint m = a_shape[0], n = b_shape[0], depth = a_shape[1];
if (m == 1 && n == 576 && depth == 576 && j == 0) { volatile ulong here[1]; here[0] = 0; forward((ulong)here); }
float4 s = 0.0f; uint p = 0;
for (; p + 4 <= depth; p += 4) for (int q = 0; q < 4; ++q) s[q] += float(a[size_t(i) * depth + p + q]) * float(b[size_t(j) * depth + p + q]);
float sum = (s.x + s.y) + (s.z + s.w);
for (; p < depth; ++p) sum += float(a[size_t(i) * depth + p]) * float(b[size_t(j) * depth + p]);
out[size_t(i) * n + j] = T(sum);
