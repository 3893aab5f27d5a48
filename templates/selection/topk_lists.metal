{% from "order.jinja" import rank_of %}
{% set wide = threads > 32 %}
/*kernel
op = "topk"
grid = ["THREADS", "rows", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
K = "k"
THREADS = {{ threads }}
KEEP = {{ keep }}
*/
{{ rank_of() -}}
// --- body ---
const uint row = threadgroup_position_in_grid.y;
const uint thread_in_row = thread_position_in_threadgroup.x;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
{% if wide %}
const uint simd = simdgroup_index_in_threadgroup;
threadgroup uint heads[THREADS / 32];
threadgroup uint heads_at[THREADS / 32];
{% endif %}

// This thread's best elements that are not taken yet, best first; rank 0 is an empty place.
uint ranks[KEEP] = {0};
uint places[KEEP] = {0};
bool more = true;  // whether its columns may hold elements beyond the list
uint last = 0xffffffffu;  // rank and place of its element taken last
uint last_at = 0;
for (uint i = 0; i < K; ++i) {
  if (ranks[0] == 0 && more) {
    for (uint c = thread_in_row; c < cols; c += THREADS) {
      const uint rank = rank_of(float(from[c]));
      const bool left = rank < last || (rank == last && c > last_at);
      if (left && rank > ranks[KEEP - 1]) {
        ranks[KEEP - 1] = rank;
        places[KEEP - 1] = c;
        for (int j = KEEP - 1; j > 0; --j) {
          if (ranks[j] > ranks[j - 1]) {
            const uint higher = ranks[j];
            const uint higher_at = places[j];
            ranks[j] = ranks[j - 1];
            places[j] = places[j - 1];
            ranks[j - 1] = higher;
            places[j - 1] = higher_at;
          }
        }
      }
    }
    more = ranks[KEEP - 1] != 0;
  }
{% if wide %}
  const uint simd_best = simd_max(ranks[0]);
  const uint simd_best_at = simd_min(ranks[0] == simd_best ? places[0] : cols);
  if (lane == 0) {
    heads[simd] = simd_best;
    heads_at[simd] = simd_best_at;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const uint head = lane < THREADS / 32 ? heads[lane] : 0;
  const uint best = simd_max(head);
  const uint best_at = simd_min(head == best && lane < THREADS / 32 ? heads_at[lane] : cols);
  threadgroup_barrier(mem_flags::mem_threadgroup);  // heads are read before the next round's
{% else %}
  const uint best = simd_max(ranks[0]);
  const uint best_at = simd_min(ranks[0] == best ? places[0] : cols);
{% endif %}
  if (ranks[0] == best && places[0] == best_at) {
    values[size_t(row) * K + i] = from[best_at];
    indices[size_t(row) * K + i] = best_at;
    last = best;
    last_at = best_at;
    for (int j = 1; j < KEEP; ++j) {
      ranks[j - 1] = ranks[j];
      places[j - 1] = places[j];
    }
    ranks[KEEP - 1] = 0;
  }
}
