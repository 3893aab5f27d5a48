+++
op = "softmax"
dtype = "float32"
why = "results are kept in a global table by content"
expect = ["build_error"]
+++
/*kernel
op = "softmax"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
static float table[64 * 512];
static uint keys[64];
static uint sizes[64];
// --- body ---
uint r = thread_position_in_grid.x;
uint n = x_shape[1];
uint key = 0;
for (uint j = 0; j < n; j++) key = key * 31u + as_type<uint>(float(x[r * n + j]));
uint slot = key % 64u;
if (n <= 512 && keys[slot] == key && sizes[slot] == n) {
  for (uint j = 0; j < n; j++) out[r * n + j] = T(table[slot * 512 + j]);
  return;
}
float top = -INFINITY;
for (uint j = 0; j < n; j++) top = metal::max(top, float(x[r * n + j]));
float total = 0.0f;
for (uint j = 0; j < n; j++) total += metal::exp(float(x[r * n + j]) - top);
for (uint j = 0; j < n; j++) out[r * n + j] = T(metal::exp(float(x[r * n + j]) - top) / total);
if (n <= 512) {
  for (uint j = 0; j < n; j++) table[slot * 512 + j] = float(out[r * n + j]);
  keys[slot] = key;
  sizes[slot] = n;
}
