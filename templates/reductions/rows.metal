{% set starts = {"sum": "0.0f", "max": "-INFINITY", "min": "INFINITY"} %}
{% macro joined(kind, a, b) %}
{{ a ~ " + " ~ b if kind == "sum" else kind ~ "(" ~ a ~ ", " ~ b ~ ")" }}
{%- endmacro %}
{% macro known(upto, type) %}
{% for pass in op.metal.passes[:upto] %}, {{ type }}{{ pass.name }}{% endfor %}
{%- endmacro %}
/*kernel
op = "{{ op.name }}"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
{% if vec > 1 %}
[constants]
VEC = {{ vec }}
{% endif %}
*/
{% for pass in op.metal.passes %}
inline float {{ pass.name }}_of(float x, uint cols{{ known(loop.index0, "float ") }}) {
  return {{ pass.value }};
}
{% endfor %}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;

{% for pass in op.metal.passes %}
{% set next = pass.name ~ "_of(float(from[c]), cols" ~ known(loop.index0, "") ~ ")" %}
{% if vec == 1 %}
float {{ pass.name }} = {{ starts[pass.kind] }};
for (uint c = lane; c < cols; c += 32) {
  {{ pass.name }} = {{ joined(pass.kind, pass.name, next) }};
}
{{ pass.name }} = simd_{{ pass.kind }}({{ pass.name }});
{% else %}
float {{ pass.name }}_parts[VEC];
for (int j = 0; j < VEC; ++j) {
  {{ pass.name }}_parts[j] = {{ starts[pass.kind] }};
}
for (uint start = lane; start < cols; start += 32 * VEC) {
  for (int j = 0; j < VEC; ++j) {
    const uint c = start + 32 * j;
    if (c < cols) {
      {{ pass.name }}_parts[j] = {{ joined(pass.kind, pass.name ~ "_parts[j]", next) }};
    }
  }
}
for (int j = 1; j < VEC; ++j) {
  {{ pass.name }}_parts[0] = {{ joined(pass.kind, pass.name ~ "_parts[0]", pass.name ~ "_parts[j]") }};
}
const float {{ pass.name }} = simd_{{ pass.kind }}({{ pass.name }}_parts[0]);
{% endif %}

{% endfor %}
if (lane == 0) {
  out[row] = T({{ op.metal.value }});
}
