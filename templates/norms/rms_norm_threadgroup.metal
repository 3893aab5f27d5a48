{% from "rows.jinja" import group_place, group_reduce, columns, accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "rms_norm"
grid = ["THREADS", "rows", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
{% if vec > 1 %}
VEC = {{ vec }}
{% endif %}
*/
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
// --- body ---
{{ group_place(vec) -}}
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
const float v = float(from[{{ c }}]);
squares{{ slot }} += v * v;
{% endcall %}
{{ merged("squares", vec, "sum") -}}
const float row_squares = group_sum(squares{{ first }}, shared, simd_lane, simd, simds);
const float scale = rsqrt(row_squares / cols + eps);

{% call(c, slot) columns("THREADS", vec) %}
to[{{ c }}] = T(float(from[{{ c }}]) * scale * float(weight[{{ c }}]));
{% endcall %}
