/*kernel
op = "attention"
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, "QUERIES", 1]
[constants]
QUERIES = 4
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
VEC = 4
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
threadgroup float all_weights[QUERIES][32];
threadgroup float* weights = all_weights[simdgroup_index_in_threadgroup];

float sums[PER_LANE] = {0.0f};
float peak = -INFINITY;
float total = 0.0f;
for (uint start = 0; start < seen; start += 32) {
  const uint count = min(32u, seen - start);
  float score = -INFINITY;
  if (lane < count) {
    const size_t row = size_t(start + lane) * D;
    float partial[VEC] = {0.0f};
    for (int d = 0; d + VEC <= D; d += VEC) {
      for (int j = 0; j < VEC; ++j) {
        partial[j] += float(q[at + d + j]) * float(keys[row + d + j]);
      }
    }
    score = 0.0f;
    for (int d = D - D % VEC; d < D; ++d) {
      score += float(q[at + d]) * float(keys[row + d]);
    }
    for (int j = 0; j < VEC; ++j) {
      score += partial[j];
    }
    score *= scale;
  }
  const float higher = max(peak, simd_max(score));
  const float shrink = precise::exp(peak - higher);
  const float weight = precise::exp(score - higher);  // 0 beyond the last key
  total = total * shrink + simd_sum(weight);
  weights[lane] = weight;
  simdgroup_barrier(mem_flags::mem_threadgroup);
  for (int j = 0; j < PER_LANE; ++j) {
    sums[j] *= shrink;
  }
  for (uint i = 0; i < count; ++i) {
    const size_t row = size_t(start + i) * D + first;
    for (int j = 0; j < PER_LANE; ++j) {
      sums[j] += first + j < D ? weights[i] * float(values[row + j]) : 0.0f;
    }
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);  // weights are read before the next are written
  peak = higher;
}
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    out[at + first + j] = T(sums[j] / total);
  }
}
