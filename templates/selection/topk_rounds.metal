{% from "order.jinja" import rank_of %}
/*kernel
op = "topk"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
K = "k"
{% if vec > 1 %}
VEC = {{ vec }}
{% endif %}
*/
{{ rank_of() -}}
// --- body ---
const uint row = thread_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;

uint last = 0xffffffffu;  // rank and place of the element taken in the round before
uint last_at = 0;
for (uint i = 0; i < K; ++i) {
{% if vec == 1 %}
  uint best = 0;
  uint best_at = cols;
  for (uint c = lane; c < cols; c += 32) {
    const uint rank = rank_of(float(from[c]));
    const bool left = rank < last || (rank == last && c > last_at);
    if (left && rank > best) {
      best = rank;
      best_at = c;
    }
  }
{% else %}
  uint bests[VEC] = {0};
  uint places[VEC] = {0};
  uint c = lane * VEC;
  for (; c + VEC <= cols; c += 32 * VEC) {
    for (int j = 0; j < VEC; ++j) {
      const uint rank = rank_of(float(from[c + j]));
      const bool left = rank < last || (rank == last && c + j > last_at);
      const bool better = left && rank > bests[j];
      bests[j] = better ? rank : bests[j];
      places[j] = better ? c + j : places[j];
    }
  }
  uint best = bests[0];
  uint best_at = places[0];
  for (int j = 1; j < VEC; ++j) {
    if (bests[j] > best || (bests[j] == best && places[j] < best_at)) {
      best = bests[j];
      best_at = places[j];
    }
  }
  for (; c < cols; ++c) {  // the end of the row, in one lane
    const uint rank = rank_of(float(from[c]));
    const bool left = rank < last || (rank == last && c > last_at);
    if (left && rank > best) {
      best = rank;
      best_at = c;
    }
  }
{% endif %}
  last = simd_max(best);
  last_at = simd_min(best == last ? best_at : cols);
  if (lane == 0) {
    values[size_t(row) * K + i] = from[last_at];
    indices[size_t(row) * K + i] = last_at;
  }
}
