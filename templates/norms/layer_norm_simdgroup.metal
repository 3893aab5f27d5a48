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

{{ accumulator("sum", "0.0f", vec) -}}
{% call(c, slot) columns(32, vec) %}
sum{{ slot }} += float(from[{{ c }}]);
{% endcall %}
{{ merged("sum", vec, "sum") -}}
const float mean = simd_sum(sum{{ first }}) / cols;

// The sum of deviations is what rounding left in the mean: it matters where the mean is far larger
// than the deviation.
{{ accumulator("drifts", "0.0f", vec) -}}
{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) columns(32, vec) %}
const float d = float(from[{{ c }}]) - mean;
drifts{{ slot }} += d;
squares{{ slot }} += d * d;
{% endcall %}
{{ merged("drifts", vec, "sum") -}}
{{ merged("squares", vec, "sum") -}}
const float drift = simd_sum(drifts{{ first }}) / cols;
const float variance = max(simd_sum(squares{{ first }}) / cols - drift * drift, 0.0f);
const float scale = rsqrt(variance + eps);

{% call(c, slot) columns(32, vec) %}
const float d = (float(from[{{ c }}]) - mean) - drift;
to[{{ c }}] = T(d * scale * float(weight[{{ c }}]) + float(bias[{{ c }}]));
{% endcall %}
