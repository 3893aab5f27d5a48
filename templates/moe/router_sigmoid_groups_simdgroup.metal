/*kernel
op = "router_sigmoid_groups"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
GROUPS = "groups"
KEPT = "kept"
K = "k"
*/
inline float sigmoid(float v) {
  const float decay = exp(-abs(v));
  return (v < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint experts = x_shape[1];
const uint width = experts / GROUPS;
auto from = x + size_t(row) * experts;

float score[GROUPS];
for (uint g = 0; g < GROUPS; ++g) {
  float first = -INFINITY;  // the two largest that this lane has seen
  float second = -INFINITY;
  for (uint e = lane; e < width; e += 32) {
    const uint at = g * width + e;
    const float t = sigmoid(float(from[at])) + bias[at];
    second = max(second, min(first, t));
    first = max(first, t);
  }
  const float best = simd_max(first);
  // One lane that holds the largest gives it up for its second.
  const uint holder = simd_min(first == best ? lane : 32u);
  const float next = simd_max(lane == holder ? second : first);
  score[g] = best + (width > 1 ? next : 0.0f);
}
bool stays[GROUPS];
for (uint g = 0; g < GROUPS; ++g) {
  uint before = 0;
  for (uint other = 0; other < GROUPS; ++other) {
    before += score[other] > score[g] || (score[other] == score[g] && other < g) ? 1u : 0u;
  }
  stays[g] = before < KEPT;
}

float picked[K];
float total = 0.0f;
float last = INFINITY;  // the one taken last, and where: the next one comes after it
uint last_at = 0;
for (uint i = 0; i < K; ++i) {
  float best = -INFINITY;
  uint best_at = experts;
  for (uint e = lane; e < experts; e += 32) {
    const float t = stays[e / width] ? sigmoid(float(from[e])) + bias[e] : 0.0f;
    const bool left = i == 0 || t < last || (t == last && e > last_at);
    if (left && (t > best || best_at == experts)) {
      best = t;
      best_at = e;
    }
  }
  last = simd_max(best_at < experts ? best : -INFINITY);
  last_at = simd_min(best_at < experts && best == last ? best_at : experts);
  picked[i] = sigmoid(float(from[min(last_at, experts - 1)]));
  total += picked[i];
  if (lane == 0) {
    index[row * K + i] = last_at;
  }
}
if (lane == 0) {
  for (uint i = 0; i < K; ++i) {
    share[row * K + i] = T(scale * picked[i] / total);
  }
}
