{% from "rows.jinja" import group_reduce %}
/*kernel
op = "qk_norm"
grid = [{{ threads }}, "heads + kv_heads", "rows"]
threadgroup = [{{ threads }}, 1, 1]
*/
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
// --- body ---
// A small array lies in constant memory, and no pointer leads to both: values are chosen.
const uint lane = thread_position_in_threadgroup.x;
const uint heads = q_shape[1];
const uint kv_heads = k_shape[1];
const uint cols = q_shape[2];
const uint row = thread_position_in_grid.z;
const uint head = thread_position_in_grid.y;
const bool is_key = head >= heads;
const size_t at = is_key ? (size_t(row) * kv_heads + (head - heads)) * cols
                         : (size_t(row) * heads + head) * cols;
auto to = is_key ? k_out + at : q_out + at;
threadgroup float shared[32];

float squares = 0.0f;
for (uint c = lane; c < cols; c += {{ threads }}) {
  const float v = (is_key ? float(k[at + c]) : float(q[at + c]));
  squares += v * v;
}
squares = group_sum(squares, shared, thread_index_in_simdgroup, simdgroup_index_in_threadgroup,
                    simdgroups_per_threadgroup);
const float scale = rsqrt(squares / float(cols) + eps);
for (uint c = lane; c < cols; c += {{ threads }}) {
  to[c] = T((is_key ? float(k[at + c]) : float(q[at + c])) * scale * (is_key ? float(k_weight[c]) : float(q_weight[c])));
}
