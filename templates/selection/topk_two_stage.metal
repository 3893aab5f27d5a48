{% from "order.jinja" import rank_of %}
{# One look of a lane at its candidates: a sorted list of the best that come after the last taken. #}
{% macro look(begin, end, rank, place) %}
if (ranks_here[0] == 0 && more) {
  for (uint c = {{ begin }} + lane; c < {{ end }}; c += 32) {
    const uint rank = {{ rank }};
    const uint place = {{ place }};
    const bool left = rank < last || (rank == last && place > last_at);
    if (left && rank > ranks_here[KEEP - 1]) {
      ranks_here[KEEP - 1] = rank;
      places_here[KEEP - 1] = place;
      for (int j = KEEP - 1; j > 0; --j) {
        if (ranks_here[j] > ranks_here[j - 1]) {
          const uint higher = ranks_here[j];
          const uint higher_at = places_here[j];
          ranks_here[j] = ranks_here[j - 1];
          places_here[j] = places_here[j - 1];
          ranks_here[j - 1] = higher;
          places_here[j - 1] = higher_at;
        }
      }
    }
  }
  more = ranks_here[KEEP - 1] != 0;
}
const uint best = simd_max(ranks_here[0]);
const uint best_at = simd_min(ranks_here[0] == best ? places_here[0] : 0xffffffffu);
{% endmacro %}
{% macro state() %}
// This lane's best elements that are not taken yet, best first; rank 0 is an empty place.
uint ranks_here[KEEP] = {0};
uint places_here[KEEP] = {0};
bool more = true;  // whether there may be elements beyond the list
uint last = 0xffffffffu;  // rank and place of the element this lane gave last
uint last_at = 0;
{% endmacro %}
{% macro taken() %}
last = best;
last_at = best_at;
for (int j = 1; j < KEEP; ++j) {
  ranks_here[j - 1] = ranks_here[j];
  places_here[j - 1] = places_here[j];
}
ranks_here[KEEP - 1] = 0;
{% endmacro %}
/*kernel
op = "topk"
inputs = ["x"]
outputs = ["ranks", "places"]
grid = [32, "ceildiv(cols, CHUNK)", "rows"]
threadgroup = [32, 1, 1]
[temporaries.ranks]
shape = ["rows", "ceildiv(cols, {{ chunk }})", "k"]
dtype = "uint32"
[temporaries.places]
shape = ["rows", "ceildiv(cols, {{ chunk }})", "k"]
dtype = "uint32"
[constants]
K = "k"
CHUNK = {{ chunk }}
KEEP = {{ keep }}
*/
{{ rank_of() -}}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint chunk = thread_position_in_grid.y;
const uint row = thread_position_in_grid.z;
const uint cols = x_shape[1];
const uint begin = chunk * CHUNK;
const uint end = min(cols, begin + CHUNK);
auto from = x + size_t(row) * cols;
const size_t to = (size_t(row) * threads_per_grid.y + chunk) * K;

{{ state() -}}
for (uint i = 0; i < K; ++i) {
  {{ look("begin", "end", "rank_of(float(from[c]))", "c") | trim | indent(2) }}
  if (best == 0) {  // the chunk has fewer than K elements
    if (lane == 0) {
      ranks[to + i] = 0;
      places[to + i] = 0;
    }
  } else if (ranks_here[0] == best && places_here[0] == best_at) {
    ranks[to + i] = best;
    places[to + i] = best_at;
    {{ taken() | trim | indent(4) }}
  }
}

/*kernel
inputs = ["x", "ranks", "places"]
outputs = ["values", "indices"]
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
[constants]
K = "k"
KEEP = {{ keep }}
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint candidates = ranks_shape[1] * K;
auto from = x + size_t(row) * x_shape[1];
auto ranks_of_row = ranks + size_t(row) * candidates;
auto places_of_row = places + size_t(row) * candidates;

{{ state() -}}
for (uint i = 0; i < K; ++i) {
  {{ look("0", "candidates", "ranks_of_row[c]", "places_of_row[c]") | trim | indent(2) | replace("= 0 + lane", "= lane") }}
  if (ranks_here[0] == best && places_here[0] == best_at) {
    values[size_t(row) * K + i] = from[best_at];
    indices[size_t(row) * K + i] = best_at;
    {{ taken() | trim | indent(4) }}
  }
}
