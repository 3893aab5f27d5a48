{% from "order.jinja" import ordered %}
/*kernel
op = "logits_top_k"
grid = [{{ threads }}, "rows", 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
K = "k"
*/
{{ ordered() -}}
inline uint group_sum(uint value, threadgroup uint* shared, uint lane, uint simd, uint simds) {
  value = simd_sum(value);
  if (lane == 0) {
    shared[simd] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  value = simd_sum(lane < simds ? shared[lane] : 0u);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return value;
}
// --- body ---
const uint cols = x_shape[1];
const size_t start = size_t(threadgroup_position_in_grid.y) * cols;
const uint thread_at = thread_position_in_threadgroup.x;
threadgroup uint shared[32];
uint least = 0;  // the largest number that k elements at least reach, from the highest bit down
for (int bit = 31; bit >= 0; --bit) {
  const uint tried = least | 1u << bit;
  uint reached = 0;
  for (uint c = thread_at; c < cols; c += {{ threads }}) {
    reached += ordered(float(x[start + c])) >= tried ? 1u : 0u;
  }
  reached = group_sum(reached, shared, thread_index_in_simdgroup, simdgroup_index_in_threadgroup,
                      simdgroups_per_threadgroup);
  least = reached >= K ? tried : least;
}
for (uint c = thread_at; c < cols; c += {{ threads }}) {
  out[start + c] = ordered(float(x[start + c])) >= least ? x[start + c] : T(removed);
}
