/*kernel
op = "attention"
grid = [32, "ceildiv(q_len, QUERIES)", "batch * heads"]
threadgroup = [32, "GROUPS", 1]
[constants]
QUERIES = 4
GROUPS = 4
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
VEC = 4
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint head = thread_position_in_grid.z;  // counted over the batch
const uint heads = q_shape[1];
const uint q_len = q_shape[2];
const uint kv_heads = k_shape[1];
const uint kv_len = k_shape[2];
const uint kv_head = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint first = lane * PER_LANE;           // of the head, this lane's elements
const uint first_query = thread_position_in_grid.y * QUERIES;
auto keys = k + size_t(kv_head) * kv_len * D;
auto values = v + size_t(kv_head) * kv_len * D;
threadgroup float all_weights[GROUPS][QUERIES][32];
threadgroup float(*weights)[32] = all_weights[simdgroup_index_in_threadgroup];

// Places beyond the last query read it again, and are not written.
size_t asked[QUERIES];
uint seen[QUERIES];  // keys each query may look at
float peaks[QUERIES];
float totals[QUERIES];
float sums[QUERIES][PER_LANE];
for (int i = 0; i < QUERIES; ++i) {
  const uint query = min(first_query + i, q_len - 1);
  asked[i] = (size_t(head) * q_len + query) * D;
  seen[i] = query + kv_len - q_len + 1;
  peaks[i] = -INFINITY;
  totals[i] = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    sums[i][j] = 0.0f;
  }
}
for (uint start = 0; start < seen[QUERIES - 1]; start += 32) {
  const uint count = min(32u, seen[QUERIES - 1] - start);
  const size_t row = size_t(min(start + lane, kv_len - 1)) * D;
  float partial[QUERIES][VEC] = {};
  for (int d = 0; d + VEC <= D; d += VEC) {
    float key[VEC];
    for (int j = 0; j < VEC; ++j) {
      key[j] = float(keys[row + d + j]);
    }
    for (int i = 0; i < QUERIES; ++i) {
      for (int j = 0; j < VEC; ++j) {
        partial[i][j] += float(q[asked[i] + d + j]) * key[j];
      }
    }
  }
  for (int d = D - D % VEC; d < D; ++d) {
    const float key = float(keys[row + d]);
    for (int i = 0; i < QUERIES; ++i) {
      partial[i][d % VEC] += float(q[asked[i] + d]) * key;
    }
  }
  for (int i = 0; i < QUERIES; ++i) {
    float score = 0.0f;
    for (int j = 0; j < VEC; ++j) {
      score += partial[i][j];
    }
    score = start + lane < seen[i] ? score * scale : -INFINITY;
    const float higher = max(peaks[i], simd_max(score));
    const float shrink = precise::exp(peaks[i] - higher);
    const float weight = precise::exp(score - higher);  // 0 beyond the last key
    totals[i] = totals[i] * shrink + simd_sum(weight);
    peaks[i] = higher;
    for (int j = 0; j < PER_LANE; ++j) {
      sums[i][j] *= shrink;
    }
    weights[i][lane] = weight;
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  for (uint n = 0; n < count; ++n) {
    float value[PER_LANE];
    for (int j = 0; j < PER_LANE; ++j) {
      value[j] = first + j < D ? float(values[size_t(start + n) * D + first + j]) : 0.0f;
    }
    for (int i = 0; i < QUERIES; ++i) {
      for (int j = 0; j < PER_LANE; ++j) {
        sums[i][j] += weights[i][n] * value[j];
      }
    }
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);  // weights are read before the next are written
}
for (int i = 0; i < QUERIES; ++i) {
  for (int j = 0; j < PER_LANE; ++j) {
    if (first_query + i < q_len && first + j < D) {
      out[asked[i] + first + j] = T(sums[i][j] / totals[i]);
    }
  }
}
