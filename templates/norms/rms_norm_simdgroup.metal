{% from "rows.jinja" import place, columns, accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
{% if vec > 1 %}
[constants]
VEC = {{ vec }}
{% endif %}
*/
// --- body ---
const uint row = thread_position_in_grid.y;
{{ place("thread_index_in_simdgroup", vec) -}}
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) columns(32, vec) %}
const float v = float(from[{{ c }}]);
squares{{ slot }} += v * v;
{% endcall %}
{{ merged("squares", vec, "sum") -}}
const float scale = rsqrt(simd_sum(squares{{ first }}) / cols + eps);

{% call(c, slot) columns(32, vec) %}
to[{{ c }}] = T(float(from[{{ c }}]) * scale * float(weight[{{ c }}]));
{% endcall %}
