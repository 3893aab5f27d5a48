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

{{ accumulator("sum", "0.0f", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
sum{{ slot }} += float(from[{{ c }}]);
{% endcall %}
{{ merged("sum", vec, "sum") -}}
const float mean = group_sum(sum{{ first }}, shared, simd_lane, simd, simds) / cols;

// The sum of deviations is what rounding left in the mean: it matters where the mean is far larger
// than the deviation.
{{ accumulator("drifts", "0.0f", vec) -}}
{{ accumulator("squares", "0.0f", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
const float d = float(from[{{ c }}]) - mean;
drifts{{ slot }} += d;
squares{{ slot }} += d * d;
{% endcall %}
{{ merged("drifts", vec, "sum") -}}
{{ merged("squares", vec, "sum") -}}
const float drift = group_sum(drifts{{ first }}, shared, simd_lane, simd, simds) / cols;
const float variance = max(group_sum(squares{{ first }}, shared, simd_lane, simd, simds) / cols - drift * drift, 0.0f);
const float scale = rsqrt(variance + eps);

{% call(c, slot) columns("THREADS", vec) %}
const float d = (float(from[{{ c }}]) - mean) - drift;
to[{{ c }}] = T(d * scale * float(weight[{{ c }}]) + float(bias[{{ c }}]));
{% endcall %}
