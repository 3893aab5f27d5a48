/*kernel
op = "topk_gating"
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

float picked[K];
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
  const float peak = simd_max(best_at < experts ? best : -INFINITY);
  last_at = simd_min(best_at < experts && best == peak ? best_at : experts);
  last = peak;
  picked[i] = peak;
  if (lane == 0) {
    index[row * K + i] = last_at;
  }
}
float total = 0.0f;
if (renormalised) {
  for (uint i = 0; i < K; ++i) {
    total += exp(picked[i] - picked[0]);
  }
} else {
  for (uint e = lane; e < experts; e += 32) {
    total += exp(float(from[e]) - picked[0]);
  }
  total = simd_sum(total);
}
if (lane == 0) {
  for (uint i = 0; i < K; ++i) {
    share[row * K + i] = T(exp(picked[i] - picked[0]) / total);
  }
}
