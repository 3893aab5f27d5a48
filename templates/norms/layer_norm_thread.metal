{% from "rows.jinja" import own_row, own_columns, accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "layer_norm"
grid = ["rows", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
{% if vec > 1 %}
[constants]
VEC = {{ vec }}
{% endif %}
*/
// --- body ---
{{ own_row(vec) -}}
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

{{ accumulator("sum", "0.0f", vec) -}}
{% call(c, slot) own_columns(vec) %}
sum{{ slot }} += float(from[{{ c }}]);
{% endcall %}
{{ merged("sum", vec, "sum") -}}
const float mean = sum{{ first }} / cols;

// The sum of deviations is what rounding left in the mean: it matters where the mean is far larger
// than the deviation.
{{ accumulator("drifts", "0.0f", vec) -}}
{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) own_columns(vec) %}
const float d = float(from[{{ c }}]) - mean;
drifts{{ slot }} += d;
squares{{ slot }} += d * d;
{% endcall %}
{{ merged("drifts", vec, "sum") -}}
{{ merged("squares", vec, "sum") -}}
const float drift = drifts{{ first }} / cols;
const float variance = max(squares{{ first }} / cols - drift * drift, 0.0f);
const float scale = rsqrt(variance + eps);

{% call(c, slot) own_columns(vec) %}
const float d = (float(from[{{ c }}]) - mean) - drift;
to[{{ c }}] = T(d * scale * float(weight[{{ c }}]) + float(bias[{{ c }}]));
{% endcall %}
