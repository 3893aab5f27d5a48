/*kernel
op = "qk_norm"
grid = [32, "heads + kv_heads", "rows"]
threadgroup = [32, {{ heads_per_group }}, 1]
{% if kept %}
[constants]
PER_LANE = "ceildiv(head_dim, 32)"
{% endif %}
*/
// --- body ---
// A small array lies in constant memory, and no pointer leads to both: values are chosen.
const uint lane = thread_index_in_simdgroup;
const uint heads = q_shape[1];
const uint kv_heads = k_shape[1];
const uint cols = q_shape[2];
const uint row = thread_position_in_grid.z;
const uint head = thread_position_in_grid.y;
const bool is_key = head >= heads;
const size_t at = is_key ? (size_t(row) * kv_heads + (head - heads)) * cols
                         : (size_t(row) * heads + head) * cols;
auto to = is_key ? k_out + at : q_out + at;

float squares = 0.0f;
{% if kept %}
float held[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  const uint c = lane + 32 * j;
  held[j] = c < cols ? (is_key ? float(k[at + c]) : float(q[at + c])) : 0.0f;
  squares += held[j] * held[j];
}
{% else %}
for (uint c = lane; c < cols; c += 32) {
  const float v = (is_key ? float(k[at + c]) : float(q[at + c]));
  squares += v * v;
}
{% endif %}
const float scale = rsqrt(simd_sum(squares) / float(cols) + eps);
{% if kept %}
for (int j = 0; j < PER_LANE; ++j) {
  const uint c = lane + 32 * j;
  if (c < cols) {
    to[c] = T(held[j] * scale * (is_key ? float(k_weight[c]) : float(q_weight[c])));
  }
}
{% else %}
for (uint c = lane; c < cols; c += 32) {
  to[c] = T((is_key ? float(k[at + c]) : float(q[at + c])) * scale * (is_key ? float(k_weight[c]) : float(q_weight[c])));
}
{% endif %}
