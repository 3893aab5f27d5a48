{% from "order.jinja" import rank_of %}
/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
K = "k"
{% if block > 1 %}
BLOCK = {{ block }}
{% endif %}
*/
{{ rank_of() -}}
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = K > 0 ? x_shape[1] : 0;
auto from = x + size_t(row) * cols;
auto places = indices + size_t(row) * K;

uint found = 0;  // elements in the result so far
uint worst = 0;  // rank of the last of them once there are K
{% macro insert() %}
const uint rank = rank_of(float(from[c]));
if (rank > worst) {
  uint at = found < K ? found++ : K - 1;
  for (; at > 0 && rank_of(float(from[places[at - 1]])) < rank; --at) {
    places[at] = places[at - 1];
  }
  places[at] = c;
  worst = found < K ? 0 : rank_of(float(from[places[K - 1]]));
}
{% endmacro %}
{% if block == 1 %}
for (uint c = 0; c < cols; ++c) {
  {{ insert() | trim | indent(2) }}
}
{% else %}
for (uint start = 0; start < cols; start += BLOCK) {
  const uint end = min(cols, start + BLOCK);
  uint highest = 0xffffffffu;
  if (end - start == BLOCK) {
    highest = 0;
    for (int j = 0; j < BLOCK; ++j) {
      highest = max(highest, rank_of(float(from[start + j])));
    }
  }
  if (highest <= worst) {
    continue;  // nothing in this block is better than the worst in the result
  }
  for (uint c = start; c < end; ++c) {
    {{ insert() | trim | indent(4) }}
  }
}
{% endif %}
for (uint i = 0; i < found; ++i) {
  values[size_t(row) * K + i] = from[places[i]];
}
