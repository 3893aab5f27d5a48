/*kernel
op = "topk_gating"
grid = ["rows", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
K = "k"
*/
// --- body ---
const uint row = thread_position_in_grid.x;
const uint experts = x_shape[1];
auto from = x + size_t(row) * experts;

float best[K];
uint best_at[K];
for (uint e = 0; e < experts; ++e) {
  const float v = float(from[e]);
  // Of equal ones the earlier stays in front: a later one has to be larger.
  if (e < K || v > best[K - 1]) {
    uint to = min(e, uint(K) - 1);
    for (; to > 0 && best[to - 1] < v; --to) {
      best[to] = best[to - 1];
      best_at[to] = best_at[to - 1];
    }
    best[to] = v;
    best_at[to] = e;
  }
}
float total = 0.0f;
if (renormalised) {
  for (uint i = 0; i < K; ++i) {
    total += exp(best[i] - best[0]);
  }
} else {
  for (uint e = 0; e < experts; ++e) {
    total += exp(float(from[e]) - best[0]);
  }
}
for (uint i = 0; i < K; ++i) {
  index[row * K + i] = best_at[i];
  share[row * K + i] = T(exp(best[i] - best[0]) / total);
}
