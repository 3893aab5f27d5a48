{% from "order.jinja" import ordered %}
{% from "rows.jinja" import group_reduce %}
{% set exp = "fast::exp" if fast_exp else "exp" %}
/*kernel
op = "logits_top_p"
grid = [{{ threads }}, "rows", 1]
threadgroup = [{{ threads }}, 1, 1]
*/
{{ ordered() -}}
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
{{ group_reduce("group_max", "simd_max", "-INFINITY") -}}
// --- body ---
const uint cols = x_shape[1];
const size_t start = size_t(threadgroup_position_in_grid.y) * cols;
const uint at = thread_position_in_threadgroup.x;
const uint lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint simds = simdgroups_per_threadgroup;
threadgroup float shared[32];
float peak = -INFINITY;
for (uint c = at; c < cols; c += {{ threads }}) {
  peak = max(peak, float(x[start + c]));
}
peak = group_max(peak, shared, lane, simd, simds);
float total = 0.0f;
for (uint c = at; c < cols; c += {{ threads }}) {
  total += {{ exp }}(float(x[start + c]) - peak);
}
const float wanted = share * group_sum(total, shared, lane, simd, simds);
// The largest number that at least `wanted` is larger than or equal to; what is less goes.
uint least = 0;
for (int bit = 31; bit >= 0; --bit) {
  const uint tried = least | 1u << bit;
  float held = 0.0f;
  for (uint c = at; c < cols; c += {{ threads }}) {
    const float v = float(x[start + c]);
    held += ordered(v) >= tried ? {{ exp }}(v - peak) : 0.0f;
  }
  least = group_sum(held, shared, lane, simd, simds) >= wanted ? tried : least;
}
for (uint c = at; c < cols; c += {{ threads }}) {
  const float v = float(x[start + c]);
  out[start + c] = ordered(v) >= least ? T(v) : T(removed);
}
