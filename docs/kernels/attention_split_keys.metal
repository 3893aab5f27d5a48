/*kernel
op = "attention"
inputs = ["q", "k", "v", "scale"]
outputs = ["part", "peaks", "totals"]
grid = [32, "ceildiv(kv_len, 128)", "batch * heads * q_len"]
threadgroup = [32, 1, 1]

[temporaries.part]
shape = ["batch * heads * q_len", "ceildiv(kv_len, 128)", "head_dim"]
dtype = "float32"

[temporaries.peaks]
shape = ["batch * heads * q_len", "ceildiv(kv_len, 128)"]
dtype = "float32"

[temporaries.totals]
shape = ["batch * heads * q_len", "ceildiv(kv_len, 128)"]
dtype = "float32"

[constants]
D = "head_dim"
PER_LANE = "max(ceildiv(head_dim, 32), 1)"
*/
// Attention for decoding, where one query meets many keys: chunks of 128 keys run side by side,
// one SIMD-group each, and a second launch merges them.
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint chunk = thread_position_in_grid.y;
const uint query = thread_position_in_grid.z;  // counted over batch, heads and positions
const uint heads = q_shape[1];
const uint q_len = q_shape[2];
const uint kv_heads = k_shape[1];
const uint kv_len = k_shape[2];
const uint head = query / q_len;
const uint kv_head = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint seen = query % q_len + kv_len - q_len + 1;  // keys this query may look at
const uint end = min(seen, (chunk + 1) * 128);

// Lane i has the elements i, i + 32, i + 64, ... of the head.
float asked[PER_LANE];
float sums[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  const uint d = lane + 32 * j;
  asked[j] = d < D ? float(q[size_t(query) * D + d]) * scale : 0.0f;
  sums[j] = 0.0f;
}
float peak = -FLT_MAX;  // finite, also in a chunk of which the query sees nothing
float total = 0.0f;
for (uint key = chunk * 128; key < end; ++key) {
  const size_t row = (size_t(kv_head) * kv_len + key) * D;
  float score = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    score += d < D ? asked[j] * float(k[row + d]) : 0.0f;
  }
  score = simd_sum(score);
  const float higher = max(peak, score);
  const float shrink = exp(peak - higher);
  const float weight = exp(score - higher);
  total = total * shrink + weight;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    sums[j] = sums[j] * shrink + (d < D ? weight * float(v[row + d]) : 0.0f);
  }
  peak = higher;
}
const size_t at = size_t(query) * threads_per_grid.y + chunk;
for (int j = 0; j < PER_LANE; ++j) {
  const uint d = lane + 32 * j;
  if (d < D) {
    part[at * D + d] = sums[j];
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
const uint d = thread_position_in_grid.x;
const uint query = thread_position_in_grid.y;
const uint chunks = part_shape[1];
const uint head_dim = part_shape[2];
const size_t first = size_t(query) * chunks;

float peak = -FLT_MAX;
for (uint i = 0; i < chunks; ++i) {
  peak = max(peak, peaks[first + i]);
}
float sum = 0.0f;
float total = 0.0f;
for (uint i = 0; i < chunks; ++i) {
  const float weight = exp(peaks[first + i] - peak);
  sum += weight * part[(first + i) * head_dim + d];
  total += weight * totals[first + i];
}
out[size_t(query) * head_dim + d] = T(sum / total);
