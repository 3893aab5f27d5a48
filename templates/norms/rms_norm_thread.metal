{% from "rows.jinja" import own_row, own_columns, accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "rms_norm"
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

{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) own_columns(vec) %}
const float v = float(from[{{ c }}]);
squares{{ slot }} += v * v;
{% endcall %}
{{ merged("squares", vec, "sum") -}}
const float scale = rsqrt(squares{{ first }} / cols + eps);

{% call(c, slot) own_columns(vec) %}
to[{{ c }}] = T(float(from[{{ c }}]) * scale * float(weight[{{ c }}]));
{% endcall %}
