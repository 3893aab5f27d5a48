{% from "rows.jinja" import own_row, own_columns, accumulator, merged %}
{% set first = "[0]" if vec > 1 else "" %}
{# One by one half a million terms lose the digits that a variance is made of: parts of them do not. #}
{% macro summed(name, slot, term) -%}
{{ name }}_part{{ slot }} += {{ term }};
{%- endmacro %}
{% macro kept(c, names, slot) -%}
if ({{ "(" ~ c ~ ") / VEC" if vec > 1 else c }} % 1024 == 1023) {
{% for name in names %}
  {{ name }}{{ slot }} += {{ name }}_part{{ slot }};
  {{ name }}_part{{ slot }} = 0.0f;
{% endfor %}
}
{%- endmacro %}
{% macro rest(name) -%}
{% if vec > 1 %}
for (int j = 0; j < VEC; ++j) {
  {{ name }}[j] += {{ name }}_part[j];
}
{% else %}
{{ name }} += {{ name }}_part;
{% endif %}
{% endmacro %}
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
{{ accumulator("sum_part", "0.0f", vec) -}}
{% call(c, slot) own_columns(vec) %}
{{ summed("sum", slot, "float(from[" ~ c ~ "])") }}
{{ kept(c, ["sum"], slot) }}
{% endcall %}
{{ rest("sum") -}}
{{ merged("sum", vec, "sum") -}}
const float mean = sum{{ first }} / cols;

// The sum of deviations is what rounding left in the mean: it matters where the mean is far larger
// than the deviation.
{{ accumulator("drifts", "0.0f", vec) -}}
{{ accumulator("squares", "0.0f", vec) -}}
{{ accumulator("drifts_part", "0.0f", vec) -}}
{{ accumulator("squares_part", "0.0f", vec) -}}
{% call(c, slot) own_columns(vec) %}
const float d = float(from[{{ c }}]) - mean;
{{ summed("drifts", slot, "d") }}
{{ summed("squares", slot, "d * d") }}
{{ kept(c, ["drifts", "squares"], slot) }}
{% endcall %}
{{ rest("drifts") -}}
{{ rest("squares") -}}
{{ merged("drifts", vec, "sum") -}}
{{ merged("squares", vec, "sum") -}}
const float drift = drifts{{ first }} / cols;
const float variance = max(squares{{ first }} / cols - drift * drift, 0.0f);
const float scale = rsqrt(variance + eps);

{% call(c, slot) own_columns(vec) %}
const float d = (float(from[{{ c }}]) - mean) - drift;
to[{{ c }}] = T(d * scale * float(weight[{{ c }}]) + float(bias[{{ c }}]));
{% endcall %}
