/*kernel
op = "attention_activation"
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
*/
// Neither end overflows, and what is far below 0 keeps its size.
inline float gelu(float v) {
  const float u = 1.59576912f * v * (1.0f + 0.044715f * v * v);
  const float decay = exp(-abs(u));
  return v * (u < 0.0f ? decay : 1.0f) / (1.0f + decay);
}
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint query = thread_position_in_grid.y;
const uint head = thread_position_in_grid.z;  // counted over the batch
const uint heads = q_shape[1];
const uint q_len = q_shape[2];
const uint kv_heads = k_shape[1];
const uint kv_len = k_shape[2];
const uint kv_head = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint first = lane * PER_LANE;  // of the head, this lane's elements
auto keys = k + size_t(kv_head) * kv_len * D;
auto values = v + size_t(kv_head) * kv_len * D;
const size_t at = (size_t(head) * q_len + query) * D;

float asked[PER_LANE];
float sums[PER_LANE] = {};
for (int j = 0; j < PER_LANE; ++j) {
  asked[j] = first + j < D ? float(q[at + first + j]) * scale : 0.0f;
}
for (uint start = 0; start < kv_len; start += {{ keys }}) {
  float weights[{{ keys }}];
  for (uint i = 0; i < {{ keys }}; ++i) {
    // Beyond the end the last key is read again and its weight is 0.
    const size_t row = size_t(min(start + i, kv_len - 1)) * D + first;
    float score = 0.0f;
    for (int j = 0; j < PER_LANE; ++j) {
      score += first + j < D ? asked[j] * float(keys[row + j]) : 0.0f;
    }
    weights[i] = simd_sum(score);
  }
  for (uint i = 0; i < {{ keys }}; ++i) {
    const size_t row = size_t(min(start + i, kv_len - 1)) * D + first;
    const float weight = start + i < kv_len ? gelu(weights[i]) : 0.0f;
    for (int j = 0; j < PER_LANE; ++j) {
      sums[j] += first + j < D ? weight * float(values[row + j]) : 0.0f;
    }
  }
}
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    out[at + first + j] = T(sums[j]);
  }
}
