/*kernel
op = "{{ op.name }}"
grid = [32, "rows", 1]
threadgroup = [32, {{ rows_per_group }}, 1]
*/
inline float joined(float a, float b) {
  return {{ op.metal.value }};
}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint row = thread_position_in_grid.y;
const uint cols = {{ op.inputs[0] }}_shape[1];
auto from = {{ op.inputs[0] }} + size_t(row) * cols;
auto to = {{ op.outputs[0] }} + size_t(row) * cols;

float carry = {{ op.metal.start }};
for (uint start = 0; start < cols; start += 32) {
  const uint c = start + lane;
{% if op.metal.backwards %}
  const uint at = c < cols ? cols - 1 - c : 0;
{% else %}
  const uint at = c < cols ? c : 0;
{% endif %}
  float value = c < cols ? float(from[at]) : {{ op.metal.start }};
  for (ushort step = 1; step < 32; step *= 2) {
    const float before = simd_shuffle_up(value, step);
    value = lane >= step ? joined(before, value) : value;
  }
  value = joined(carry, value);
  if (c < cols) {
    to[at] = T(value);
  }
  carry = simd_shuffle(value, ushort(31));
}
