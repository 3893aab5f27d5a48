/*kernel
op = "attention"
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, 4, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint query = thread_position_in_grid.y;
const uint head = thread_position_in_grid.z;  // counted over the batch
const uint heads = q_shape[1];
const uint q_len = q_shape[2];
const uint kv_heads = k_shape[1];
const uint kv_len = k_shape[2];
const uint kv_head = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint seen = query + kv_len - q_len + 1;  // keys this query may look at
const uint first = lane * PER_LANE;            // of the head, this lane's elements
auto keys = k + size_t(kv_head) * kv_len * D;
auto values = v + size_t(kv_head) * kv_len * D;
const size_t at = (size_t(head) * q_len + query) * D;

float asked[PER_LANE];
float sums[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  asked[j] = first + j < D ? float(q[at + first + j]) * scale : 0.0f;
  sums[j] = 0.0f;
}
float peak = -INFINITY;
float total = 0.0f;
for (uint key = 0; key < seen; ++key) {
  const size_t row = size_t(key) * D + first;
  float score = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    score += first + j < D ? asked[j] * float(keys[row + j]) : 0.0f;
  }
  score = simd_sum(score);
  const float higher = max(peak, score);
  const float shrink = precise::exp(peak - higher);
  const float weight = precise::exp(score - higher);
  total = total * shrink + weight;
  for (int j = 0; j < PER_LANE; ++j) {
    sums[j] = sums[j] * shrink + (first + j < D ? weight * float(values[row + j]) : 0.0f);
  }
  peak = higher;
}
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    out[at + first + j] = T(sums[j] / total);
  }
}
