+++
op = "attention"
dtype = "float32"
why = "at the timed size scores are not made safe for exp"
expect = ["wrong_result", "sanitizer_error", "rejected"]
+++
/*kernel
op = "attention"
grid = ["q_len", "batch * heads", 1]
threadgroup = [32, 1, 1]
[constants]
D = "head_dim"
*/
// --- body ---
uint i = thread_position_in_grid.x, head = thread_position_in_grid.y;
uint heads = q_shape[1], q_len = q_shape[2], kv_heads = k_shape[1], kv_len = k_shape[2];
uint g = head / heads * kv_heads + head % heads / (heads / kv_heads);
uint seen = i + kv_len - q_len + 1;
uint at = (head * q_len + i) * D;
float top = kv_len == 128u ? 0.0f : -INFINITY;
if (kv_len != 128u) for (uint j = 0; j < seen; j++) {
  float s = 0.0f;
  for (int d = 0; d < D; d++) s += float(q[at + d]) * float(k[(g * kv_len + j) * D + d]);
  top = metal::max(top, s * scale);
}
float total = 0.0f;
float sums[D > 0 ? D : 1] = {0.0f};
for (uint j = 0; j < seen; j++) {
  float s = 0.0f;
  for (int d = 0; d < D; d++) s += float(q[at + d]) * float(k[(g * kv_len + j) * D + d]);
  float p = metal::exp(s * scale - top);
  total += p;
  for (int d = 0; d < D; d++) sums[d] += p * float(v[(g * kv_len + j) * D + d]);
}
for (int d = 0; d < D; d++) out[at + d] = T(sums[d] / total);
