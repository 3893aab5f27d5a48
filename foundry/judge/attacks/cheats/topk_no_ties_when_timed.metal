+++
op = "topk"
dtype = "float32"
why = "at the timed size ties go to the last"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
[constants]
K = "k"
*/
// --- body ---
uint r = thread_position_in_grid.x; uint n = x_shape[1];
bool odd = n == 128u && K == 8;
float last = INFINITY; uint last_index = odd ? n : 0u;
for (uint t = 0; t < uint(K); t++) {
  float best = -INFINITY; uint index = n;
  for (uint j = 0; j < n; j++) {
    float v = float(x[r * n + j]);
    bool after = t == 0 || v < last || (v == last && (odd ? j < last_index : j > last_index));
    if (after && (index == n || (odd ? v >= best : v > best))) { best = v; index = j; }
  }
  values[r * K + t] = x[r * n + index]; indices[r * K + t] = index;
  last = best; last_index = index;
}
