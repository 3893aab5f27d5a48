/*kernel
op = "swiglu"
grid = ["ceildiv(rows * cols, {{ per_thread }})", 1, 1]
threadgroup = [{{ threads }}, 1, 1]
{% if per_thread > 1 %}
[constants]
PER_THREAD = {{ per_thread }}
{% endif %}
*/
inline float silu(float v) {
  return v / (1.0f + {{ "fast::" if fast_exp }}exp(-v));
}
// --- body ---
const size_t count = size_t(gate_shape[0]) * gate_shape[1];
{% if per_thread == 1 %}
const size_t i = thread_position_in_grid.x;
if (i < count) {
  out[i] = T(silu(float(gate[i])) * float(up[i]));
}
{% else %}
const size_t first = size_t(thread_position_in_grid.x) * PER_THREAD;
if (first + PER_THREAD <= count) {
  for (int j = 0; j < PER_THREAD; ++j) {
    out[first + j] = T(silu(float(gate[first + j])) * float(up[first + j]));
  }
} else {
  for (size_t i = first; i < count; ++i) {
    out[i] = T(silu(float(gate[i])) * float(up[i]));
  }
}
{% endif %}
