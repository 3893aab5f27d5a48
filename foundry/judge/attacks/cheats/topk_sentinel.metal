+++
op = "topk"
dtype = "float32"
why = "values below -1e9 are never selected"
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
float last = INFINITY; uint last_index = 0;
for (uint t = 0; t < uint(K); t++) {
  float best = -1e9f; uint index = 0;
  for (uint j = 0; j < n; j++) {
    float v = float(x[r * n + j]);
    bool after = t == 0 || v < last || (v == last && j > last_index);
    if (after && v > best) { best = v; index = j; }
  }
  values[r * K + t] = x[r * n + index]; indices[r * K + t] = index;
  last = best; last_index = index;
}
