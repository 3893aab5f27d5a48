{% from "rows.jinja" import group_place, group_reduce, columns, accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "layer_norm"
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

// Two passes, and every element less the row's first: neither the mean's rounding nor the sum of
// squares loses digits where the mean is far larger than the deviation.
const float origin = cols > 0 ? float(from[0]) : 0.0f;
{{ accumulator("sum", "0.0f", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
sum{{ slot }} += float(from[{{ c }}]) - origin;
{% endcall %}
{{ merged("sum", vec, "sum") -}}
const float mean = group_sum(sum{{ first }}, shared, simd_lane, simd, simds) / cols;

{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
const float d = (float(from[{{ c }}]) - origin) - mean;
squares{{ slot }} += d * d;
{% endcall %}
{{ merged("squares", vec, "sum") -}}
const float variance = group_sum(squares{{ first }}, shared, simd_lane, simd, simds) / cols;
const float scale = rsqrt(variance + eps);

{% call(c, slot) columns("THREADS", vec) %}
const float d = (float(from[{{ c }}]) - origin) - mean;
to[{{ c }}] = T(d * scale * float(weight[{{ c }}]) + float(bias[{{ c }}]));
{% endcall %}
