{% from "rows.jinja" import place, columns, accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "layer_norm"
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

// Two passes, and every element less the row's first: neither the mean's rounding nor the sum of
// squares loses digits where the mean is far larger than the deviation.
const float origin = cols > 0 ? float(from[0]) : 0.0f;
{{ accumulator("sum", "0.0f", vec) -}}
{% call(c, slot) columns(32, vec) %}
sum{{ slot }} += float(from[{{ c }}]) - origin;
{% endcall %}
{{ merged("sum", vec, "sum") -}}
const float mean = simd_sum(sum{{ first }}) / cols;

{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) columns(32, vec) %}
const float d = (float(from[{{ c }}]) - origin) - mean;
squares{{ slot }} += d * d;
{% endcall %}
{{ merged("squares", vec, "sum") -}}
const float variance = simd_sum(squares{{ first }}) / cols;
const float scale = rsqrt(variance + eps);

{% call(c, slot) columns(32, vec) %}
const float d = (float(from[{{ c }}]) - origin) - mean;
to[{{ c }}] = T(d * scale * float(weight[{{ c }}]) + float(bias[{{ c }}]));
{% endcall %}
