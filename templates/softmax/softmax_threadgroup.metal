{% from "rows.jinja" import group_place, group_reduce, columns, accumulator, merged %}
{% set exp = "fast::exp" if fast_exp else "exp" %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "softmax"
grid = ["THREADS", "rows", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
{% if vec > 1 %}
VEC = {{ vec }}
{% endif %}
*/
{{ group_reduce("group_max", "simd_max", "-INFINITY") }}
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
// --- body ---
{{ group_place(vec) -}}
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

{% if online %}
// Maximum and sum in one pass: a new maximum shrinks the sum so far. Starting from -FLT_MAX keeps
// the difference of two maxima finite.
{{ accumulator("peak", "-FLT_MAX", vec) -}}
{{ accumulator("total", "0.0f", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
const float v = float(from[{{ c }}]);
const float higher = max(peak{{ slot }}, v);
total{{ slot }} = total{{ slot }} * {{ exp }}(peak{{ slot }} - higher) + {{ exp }}(v - higher);
peak{{ slot }} = higher;
{% endcall %}
{% if vec > 1 %}
for (int j = 1; j < VEC; ++j) {
  const float higher = max(peak[0], peak[j]);
  total[0] = total[0] * {{ exp }}(peak[0] - higher) + total[j] * {{ exp }}(peak[j] - higher);
  peak[0] = higher;
}
{% endif %}
const float row_peak = group_max(peak{{ first }}, shared, simd_lane, simd, simds);
const float row_total =
    group_sum(total{{ first }} * {{ exp }}(peak{{ first }} - row_peak), shared, simd_lane, simd, simds);
{% else %}
{{ accumulator("peak", "-INFINITY", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
peak{{ slot }} = max(peak{{ slot }}, float(from[{{ c }}]));
{% endcall %}
{{ merged("peak", vec, "max") -}}
const float row_peak = group_max(peak{{ first }}, shared, simd_lane, simd, simds);

{{ accumulator("total", "0.0f", vec) -}}
{% call(c, slot) columns("THREADS", vec) %}
total{{ slot }} += {{ exp }}(float(from[{{ c }}]) - row_peak);
{% endcall %}
{{ merged("total", vec, "sum") -}}
const float row_total = group_sum(total{{ first }}, shared, simd_lane, simd, simds);
{% endif %}

const float scale = 1.0f / row_total;
{% call(c, slot) columns("THREADS", vec) %}
to[{{ c }}] = T({{ exp }}(float(from[{{ c }}]) - row_peak) * scale);
{% endcall %}
