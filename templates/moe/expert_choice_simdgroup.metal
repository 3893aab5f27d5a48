/*kernel
op = "expert_choice"
inputs = ["x"]
outputs = ["chance"]
grid = [32, "rows", 1]
threadgroup = [32, {{ per_group }}, 1]
[temporaries.chance]
shape = ["experts", "rows"]
dtype = "float32"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint rows = x_shape[0];
const uint experts = x_shape[1];
auto from = x + size_t(row) * experts;
float peak = -INFINITY;
for (uint e = lane; e < experts; e += 32) {
  peak = max(peak, float(from[e]));
}
peak = simd_max(peak);
float total = 0.0f;
for (uint e = lane; e < experts; e += 32) {
  total += exp(float(from[e]) - peak);
}
total = simd_sum(total);
for (uint e = lane; e < experts; e += 32) {
  chance[size_t(e) * rows + row] = exp(float(from[e]) - peak) / total;
}
/*kernel
inputs = ["chance"]
outputs = ["share", "index"]
grid = [32, "experts", 1]
threadgroup = [32, {{ per_group }}, 1]
[constants]
K = "k"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint expert = thread_position_in_grid.y;
const uint rows = chance_shape[1];
auto from = chance + size_t(expert) * rows;
float last = INFINITY;  // the one taken last, and where: the next one comes after it
uint last_at = 0;
for (uint i = 0; i < K; ++i) {
  float best = -INFINITY;
  uint best_at = rows;
  for (uint r = lane; r < rows; r += 32) {
    const float v = from[r];
    const bool left = i == 0 || v < last || (v == last && r > last_at);
    if (left && (v > best || best_at == rows)) {
      best = v;
      best_at = r;
    }
  }
  last = simd_max(best_at < rows ? best : -INFINITY);
  last_at = simd_min(best_at < rows && best == last ? best_at : rows);
  if (lane == 0) {
    index[expert * K + i] = last_at;
    share[expert * K + i] = T(last);
  }
}
