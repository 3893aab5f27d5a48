{% set m = op.metal %}
/*kernel
op = "{{ op.name }}"
grid = ["ceildiv({{ m.count }}, PER_THREAD)", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
PER_THREAD = {{ per_thread }}
{% for axis, size in m.sizes.items() if not size %}
SIZE_{{ axis | upper }} = "{{ axis }}"
{% endfor %}
*/
{% if m.helpers %}
{{ m.helpers | trim }}
{% endif %}
// --- body ---
{% for axis, size in m.sizes.items() %}
const uint {{ axis }} = {{ size if size else "SIZE_" ~ axis | upper }};
{% endfor %}
const uint elements = {{ m.counted }};
{% if strided %}
const uint threads = (elements + PER_THREAD - 1) / PER_THREAD;
for (uint i = thread_position_in_grid.x; i < elements; i += threads) {
{% else %}
const uint first = thread_position_in_grid.x * PER_THREAD;
for (uint i = first; i < min(first + PER_THREAD, elements); ++i) {
{% endif %}
  {{ m.body | trim | indent(2) }}
}
