/*kernel
op = "router_topk_by_index"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
K = "k"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint experts = x_shape[1];
auto from = x + size_t(row) * experts;

float peak = 0.0f;
float total = 0.0f;
float last = INFINITY;  // the one taken last, and where: the next one comes after it
uint last_at = 0;
for (uint i = 0; i < K; ++i) {
  float best = -INFINITY;
  uint best_at = experts;
  for (uint e = lane; e < experts; e += 32) {
    const float v = float(from[e]);
    const bool left = i == 0 || v < last || (v == last && e > last_at);
    if (left && (v > best || best_at == experts)) {
      best = v;
      best_at = e;
    }
  }
  last = simd_max(best_at < experts ? best : -INFINITY);
  last_at = simd_min(best_at < experts && best == last ? best_at : experts);
  peak = i == 0 ? last : peak;
  total += exp(last - peak);
}
// Whatever does not come after the last one taken was taken: write it in the order of places.
uint written = 0;
for (uint start = 0; start < experts; start += 32) {
  const uint e = start + lane;
  const float v = e < experts ? float(from[e]) : 0.0f;
  const bool taken = e < experts && (v > last || (v == last && e <= last_at));
  const uint place = written + simd_prefix_exclusive_sum(taken ? 1u : 0u);
  if (taken && place < K) {
    index[row * K + place] = e;
    share[row * K + place] = T(exp(v - peak) / total);
  }
  written += simd_sum(taken ? 1u : 0u);
}
