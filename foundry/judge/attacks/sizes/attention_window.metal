+++
op = "attention"
dtype = ["float32", "float16", "bfloat16"]
why = "sliding window of 512"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "attention"
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, 1, 1]
[constants]
D = "head_dim"
P = "max(ceildiv(head_dim, 32), 1)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup, query = thread_position_in_grid.y, head = thread_position_in_grid.z;
const uint heads = q_shape[1], q_len = q_shape[2], kv_heads = k_shape[1], kv_len = k_shape[2];
const uint g = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint seen = query + kv_len - q_len + 1;
auto keys = k + size_t(g) * kv_len * D; auto vals = v + size_t(g) * kv_len * D;
const size_t at = (size_t(head) * q_len + query) * D;
float sums[P]; for (int j = 0; j < P; ++j) sums[j] = 0.0f;
float peak = -INFINITY; float total = 0.0f;
const float sc = scale;
for (uint key = 0; key < seen; ++key) {
  float s = 0.0f;
  for (int j = 0; j < P; ++j) { uint d = lane + 32 * j; if (d < D) s += float(q[at + d]) * float(keys[size_t(key) * D + d]); }
  s = simd_sum(s) * sc;
  if (key + 512 < seen) continue;
  float higher = max(peak, s), shrink = exp(peak - higher);
  float w = exp(s - higher);
  total = total * shrink + w;
  for (int j = 0; j < P; ++j) { uint d = lane + 32 * j; if (d < D) sums[j] = sums[j] * shrink + w * float(vals[size_t(key) * D + d]); }
  peak = higher;
}
for (int j = 0; j < P; ++j) { uint d = lane + 32 * j; if (d < D) out[at + d] = T(sums[j] / total); }
