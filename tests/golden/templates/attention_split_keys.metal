/*kernel
op = "attention"
inputs = ["q", "k", "v", "scale"]
outputs = ["part", "peaks", "totals"]
grid = [32, "ceildiv(kv_len, CHUNK)", "batch * heads * q_len"]
threadgroup = [32, 1, 1]
[temporaries.part]
shape = ["batch * heads * q_len", "ceildiv(kv_len, 256)", "head_dim"]
dtype = "float32"
[temporaries.peaks]
shape = ["batch * heads * q_len", "ceildiv(kv_len, 256)"]
dtype = "float32"
[temporaries.totals]
shape = ["batch * heads * q_len", "ceildiv(kv_len, 256)"]
dtype = "float32"
[constants]
CHUNK = 256
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
VEC = 4
*/
// --- body ---
// Softmax and weighted values of one chunk of the keys, relative to the chunk's own maximum.
const uint lane = thread_index_in_simdgroup;
const uint chunk = thread_position_in_grid.y;
const uint asked = thread_position_in_grid.z;  // the query, counted over batch and heads
const uint heads = q_shape[1];
const uint q_len = q_shape[2];
const uint kv_heads = k_shape[1];
const uint kv_len = k_shape[2];
const uint head = asked / q_len;
const uint kv_head = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint seen = asked % q_len + kv_len - q_len + 1;  // keys this query may look at
const uint end = min(seen, (chunk + 1) * CHUNK);
const uint first = lane * PER_LANE;                    // of the head, this lane's elements
auto query = q + size_t(asked) * D;
auto keys = k + size_t(kv_head) * kv_len * D;
auto values = v + size_t(kv_head) * kv_len * D;
threadgroup float weights[32];

float sums[PER_LANE] = {0.0f};
float peak = -FLT_MAX;  // stays finite in a chunk that the query sees nothing of
float total = 0.0f;
for (uint start = chunk * CHUNK; start < end; start += 32) {
  const uint count = min(32u, end - start);
  float score = -INFINITY;
  if (lane < count) {
    const size_t row = size_t(start + lane) * D;
    float partial[VEC] = {0.0f};
    for (int d = 0; d + VEC <= D; d += VEC) {
      for (int j = 0; j < VEC; ++j) {
        partial[j] += float(query[d + j]) * float(keys[row + d + j]);
      }
    }
    score = 0.0f;
    for (int d = D - D % VEC; d < D; ++d) {
      score += float(query[d]) * float(keys[row + d]);
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
const size_t at = size_t(asked) * threads_per_grid.y + chunk;
for (int j = 0; j < PER_LANE; ++j) {
  if (first + j < D) {
    part[at * D + first + j] = sums[j];
  }
}
if (lane == 0) {
  peaks[at] = peak;
  totals[at] = total;
}

/*kernel
inputs = ["part", "peaks", "totals"]
outputs = ["out"]
grid = ["head_dim", "batch * heads * q_len", 1]
threadgroup = [32, 4, 1]
*/
// --- body ---
// One element of the result a thread: the chunks' sums, brought to their common maximum.
const uint d = thread_position_in_grid.x;
const uint asked = thread_position_in_grid.y;
const uint chunks = part_shape[1];
const uint head_dim = part_shape[2];
auto chunk_peaks = peaks + size_t(asked) * chunks;
auto chunk_totals = totals + size_t(asked) * chunks;

float peak = -FLT_MAX;
for (uint i = 0; i < chunks; ++i) {
  peak = max(peak, chunk_peaks[i]);
}
float sum = 0.0f;
float total = 0.0f;
for (uint i = 0; i < chunks; ++i) {
  const float weight = precise::exp(chunk_peaks[i] - peak);
  total += weight * chunk_totals[i];
  sum += weight * part[(size_t(asked) * chunks + i) * head_dim + d];
}
out[size_t(asked) * head_dim + d] = T(sum / total);
