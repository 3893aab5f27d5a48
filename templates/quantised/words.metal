{% set codes = 32 // op.metal.bits %}
/*kernel
op = "{{ op.name }}"
grid = ["ceildiv(cols // {{ codes }}, {{ words }})", "rows", 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
WORDS = {{ words }}
GROUP = "group"
*/
{% if op.metal.helpers %}
{{ op.metal.helpers | trim }}
{% endif %}
inline float value(float code, float scale, float bias) {
  return {{ op.metal.value }};
}
// --- body ---
const uint row = thread_position_in_grid.y;
const uint width = packed_shape[1];
const uint groups = scales_shape[1];
const uint first = thread_position_in_grid.x * WORDS;
for (uint w = first; w < min(first + WORDS, width); ++w) {
  uint word = packed[size_t(row) * width + w];
  const size_t group = size_t(row) * groups + w * {{ codes }} / GROUP;
  const float scale = float(scales[group]);
  const float bias = float(biases[group]);
  const size_t to = (size_t(row) * width + w) * {{ codes }};
  for (int j = 0; j < {{ codes }}; ++j) {
    out[to + j] = T(value(float(word & {{ 2 ** op.metal.bits - 1 }}u), scale, bias));
    word >>= {{ op.metal.bits }};
  }
}
