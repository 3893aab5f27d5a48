{% from "rows.jinja" import place, columns, accumulator, merged %}
{% set exp = "fast::exp" if fast_exp else "exp" %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "softmax"
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

{% if online %}
// Maximum and sum in one pass: a new maximum shrinks the sum so far. Starting from -FLT_MAX keeps
// the difference of two maxima finite.
{{ accumulator("peak", "-FLT_MAX", vec) -}}
{{ accumulator("total", "0.0f", vec) -}}
{% call(c, slot) columns(32, vec) %}
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
const float row_peak = simd_max(peak{{ first }});
const float row_total = simd_sum(total{{ first }} * {{ exp }}(peak{{ first }} - row_peak));
{% else %}
{{ accumulator("peak", "-INFINITY", vec) -}}
{% call(c, slot) columns(32, vec) %}
peak{{ slot }} = max(peak{{ slot }}, float(from[{{ c }}]));
{% endcall %}
{{ merged("peak", vec, "max") -}}
const float row_peak = simd_max(peak{{ first }});

{{ accumulator("total", "0.0f", vec) -}}
{% call(c, slot) columns(32, vec) %}
total{{ slot }} += {{ exp }}(float(from[{{ c }}]) - row_peak);
{% endcall %}
{{ merged("total", vec, "sum") -}}
const float row_total = simd_sum(total{{ first }});
{% endif %}

const float scale = 1.0f / row_total;
{% call(c, slot) columns(32, vec) %}
to[{{ c }}] = T({{ exp }}(float(from[{{ c }}]) - row_peak) * scale);
{% endcall %}
