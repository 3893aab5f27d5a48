{% from "rows.jinja" import own_row, own_columns, accumulator, merged %}
{% set exp = "fast::exp" if fast_exp else "exp" %}
{% set first = "[0]" if vec > 1 else "" %}
/*kernel
op = "softmax"
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

{% if online %}
// Maximum and sum in one pass: a new maximum shrinks the sum so far. Starting from -FLT_MAX keeps
// the difference of two maxima finite.
{{ accumulator("peak", "-FLT_MAX", vec) -}}
{{ accumulator("total", "0.0f", vec) -}}
{% call(c, slot) own_columns(vec) %}
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
const float row_peak = peak{{ first }};
const float row_total = total{{ first }};
{% else %}
{{ accumulator("peak", "-INFINITY", vec) -}}
{% call(c, slot) own_columns(vec) %}
peak{{ slot }} = max(peak{{ slot }}, float(from[{{ c }}]));
{% endcall %}
{{ merged("peak", vec, "max") -}}
const float row_peak = peak{{ first }};

{{ accumulator("total", "0.0f", vec) -}}
{% call(c, slot) own_columns(vec) %}
total{{ slot }} += {{ exp }}(float(from[{{ c }}]) - row_peak);
{% endcall %}
{{ merged("total", vec, "sum") -}}
const float row_total = total{{ first }};
{% endif %}

const float scale = 1.0f / row_total;
{% call(c, slot) own_columns(vec) %}
to[{{ c }}] = T({{ exp }}(float(from[{{ c }}]) - row_peak) * scale);
{% endcall %}
