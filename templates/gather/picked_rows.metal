{% set also = op.inputs[2:] %}
/*kernel
op = "{{ op.name }}"
grid = [32, "count", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
[constants]
VEC = {{ vec }}
*/
{% if op.metal.value != "x" %}
inline float value(float x{% for other in also %}, float {{ other }}{% endfor %}) {
  return {{ op.metal.value }};
}
{% endif %}
// --- body ---
const uint cols = x_shape[1];
const uint picked = thread_position_in_grid.y;
const size_t from = size_t(index[picked]) * cols;
const size_t to = size_t(picked) * cols;
for (uint first = thread_index_in_simdgroup * VEC; first < cols; first += 32 * VEC) {
  for (uint c = first; c < min(first + VEC, cols); ++c) {
{% if op.metal.value == "x" %}
    out[to + c] = x[from + c];
{% else %}
    out[to + c] = T(value(float(x[from + c]){% for other in also %}, float({{ other }}[to + c]){% endfor %}));
{% endif %}
  }
}
