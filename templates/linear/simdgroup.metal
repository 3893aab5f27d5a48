{% set m = op.metal %}
{% set names = ["first", "second", "third"] %}
{% set bits = m.weights[0].bits %}
{% set codes = 32 // bits if bits > 0 else 8 %}
{% set shared_rows = 1 if m.picked else rows %}
{% macro row_of(w) -%}
{{ "size_t(expert) * n + column" if m.picked else "column" }}
{%- endmacro %}
/*kernel
op = "{{ op.name }}"
grid = [32, "ceildiv(n, COLUMNS)", "ceildiv({{ m.rows }}, ROWS)"]
threadgroup = [32, {{ groups }}, 1]
[constants]
COLUMNS = {{ columns }}
ROWS = {{ shared_rows }}
STEP = {{ codes * words }}
{% if bits > 0 %}
GROUP = "group"
{% endif %}
*/
{% if m.helpers %}
{{ m.helpers | trim }}
{% endif %}
inline float value(float {{ names[:m.weights | length] | join(", float ") }}
{%- for a in m.also %}, float {{ a }}{% endfor %}
{%- for p, type in op.params.items() %}, {{ type }} {{ p }}{% endfor %}) {
  return {{ m.value }};
}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint depth = x_shape[1];
const uint n = {{ m.weights[0].name }}_shape[{{ 1 if m.picked else 0 }}];
const uint first_row = thread_position_in_grid.z * ROWS;
const uint first_column = thread_position_in_grid.y * COLUMNS;
{% if m.picked %}
const uint expert = index[first_row];
{% endif %}
{% if m.picked == "slots" %}
const uint count = x_shape[0] * index_shape[1];
{% else %}
const uint count = x_shape[0];
{% endif %}

// Rows and columns beyond the edge read the last one again, and are not written.
size_t x_at[ROWS];
for (int r = 0; r < ROWS; ++r) {
  x_at[r] = size_t(min(first_row + r, count - 1){{ " / index_shape[1]" if m.picked == "slots" }}) * depth;
}
{% if m.prologue == "rms" %}
float scales[ROWS];
for (int r = 0; r < ROWS; ++r) {
  float squares = 0.0f;
  for (uint i = lane; i < depth; i += 32) {
    const float v = float(x[x_at[r] + i]);
    squares += v * v;
  }
  scales[r] = rsqrt(simd_sum(squares) / float(depth) + eps);
}
{% endif %}
float sums[{{ m.weights | length }}][ROWS][COLUMNS] = {};
for (uint i = lane * STEP; i < depth; i += 32 * STEP) {
  float left[ROWS][STEP];
{% if bits > 0 %}
  float totals[ROWS][{{ words }}];
{% endif %}
  for (int r = 0; r < ROWS; ++r) {
    for (int j = 0; j < STEP; ++j) {
{% if m.prologue == "rms" %}
      left[r][j] = i + j < depth ? float(x[x_at[r] + i + j]) * scales[r] * float(gain[i + j]) : 0.0f;
{% else %}
      left[r][j] = i + j < depth ? float(x[x_at[r] + i + j]) : 0.0f;
{% endif %}
    }
{% if bits > 0 %}
    for (int w = 0; w < {{ words }}; ++w) {
      totals[r][w] = 0.0f;
      for (int j = 0; j < {{ codes }}; ++j) {
        totals[r][w] += left[r][w * {{ codes }} + j];
      }
    }
{% endif %}
  }
  for (int c = 0; c < COLUMNS; ++c) {
    const uint column = min(first_column + c, n - 1);
{% for w in m.weights %}
    {
{% if w.bits > 0 %}
      for (uint at = i / {{ codes }}; at < min(i / {{ codes }} + {{ words }}, depth / {{ codes }}); ++at) {
        uint word = {{ w.name }}[({{ row_of(w) }}) * (depth / {{ codes }}) + at];
        const size_t group = ({{ row_of(w) }}) * (depth / GROUP) + at * {{ codes }} / GROUP;
        const float scale = float({{ w.name }}_scales[group]);
        const float bias = float({{ w.name }}_biases[group]);
        const uint from = at * {{ codes }} - i;
        float dots[ROWS] = {};
        for (int j = 0; j < {{ codes }}; ++j) {
          const float code = float(word & {{ 2 ** w.bits - 1 }}u);
          word >>= {{ w.bits }};
          for (int r = 0; r < ROWS; ++r) {
            dots[r] += code * left[r][from + j];
          }
        }
        for (int r = 0; r < ROWS; ++r) {
          sums[{{ loop.index0 }}][r][c] += scale * dots[r] + bias * totals[r][from / {{ codes }}];
        }
      }
{% else %}
      const size_t from = ({{ row_of(w) }}) * depth + i;
{% if w.bits < 0 %}
      const float zero = float({{ w.name }}_zero[{{ row_of(w) }}]);
{% endif %}
      for (int j = 0; j < STEP; ++j) {
        const float right = i + j < depth ? float({{ w.name }}[from + j]){{ " - zero" if w.bits < 0 }} : 0.0f;
        for (int r = 0; r < ROWS; ++r) {
          sums[{{ loop.index0 }}][r][c] += left[r][j] * right;
        }
      }
{% endif %}
    }
{% endfor %}
  }
}
for (int r = 0; r < ROWS; ++r) {
  for (int c = 0; c < COLUMNS; ++c) {
    const uint column = min(first_column + c, n - 1);
{% for w in m.weights %}
    const float dot_{{ loop.index0 }} = simd_sum(sums[{{ loop.index0 }}][r][c])
{%- if w.bits < 0 %} * float({{ w.name }}_scale[{{ row_of(w) }}]){% endif %};
{% endfor %}
    if (lane == 0 && first_row + r < count && first_column + c < n) {
      out[size_t(first_row + r) * n + column] = T(value(
          {%- for w in m.weights %}{{ ", " if not loop.first }}dot_{{ loop.index0 }}{% endfor %}
          {%- for a in m.also %}, float({{ a }}[column]){% endfor %}
          {%- for p in op.params %}, {{ p }}{% endfor %}));
    }
  }
}
