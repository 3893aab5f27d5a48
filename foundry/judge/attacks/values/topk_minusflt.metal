+++
op = "topk"
dtype = ["float32", "float16", "bfloat16"]
why = "best starts at -FLT_MAX, place 0: loses -inf and -FLT_MAX"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
[constants]
K = "k"
*/
// --- body ---
const uint row = thread_position_in_grid.x, cols = x_shape[1];
auto from = x + size_t(row) * cols;
float last = INFINITY; uint last_at = 0; bool any = false;
for (uint i = 0; i < K; ++i) {
  float best = -FLT_MAX; uint at = 0;
  for (uint c = 0; c < cols; ++c) {
    float v = float(from[c]);
    bool left = !any || v < last || (v == last && c > last_at);
    if (left && v > best) { best = v; at = c; }
  }
  values[row * K + i] = from[at];
  indices[row * K + i] = at;
  last = best; last_at = at; any = true;
}
