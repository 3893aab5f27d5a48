/*kernel
op = "rope_attention"
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, {{ queries_per_group }}, 1]
[constants]
PAIRS = "head_dim // 2"
PER_LANE = "max(ceildiv(head_dim // 2, 32), 1)"
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
const uint place = query + kv_len - q_len;
auto keys = k + size_t(kv_head) * kv_len * 2 * PAIRS;
auto values = v + size_t(kv_head) * kv_len * 2 * PAIRS;
const size_t at = (size_t(head) * q_len + query) * 2 * PAIRS;

// A lane has pairs of elements, which are rotated together.
float low[PER_LANE];
float high[PER_LANE];
float low_sums[PER_LANE] = {};
float high_sums[PER_LANE] = {};
for (int j = 0; j < PER_LANE; ++j) {
  const uint d = lane + 32 * j;
  low[j] = high[j] = 0.0f;
  if (d < PAIRS) {
    const float lower = float(q[at + d]) * scale;
    const float upper = float(q[at + PAIRS + d]) * scale;
    const float a = float(cosine[size_t(place) * PAIRS + d]);
    const float b = float(sine[size_t(place) * PAIRS + d]);
    low[j] = lower * a - upper * b;
    high[j] = upper * a + lower * b;
  }
}
float peak = -INFINITY;
float total = 0.0f;
for (uint key = 0; key <= place; ++key) {
  const size_t row = size_t(key) * 2 * PAIRS;
  float score = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    if (d < PAIRS) {
      const float lower = float(keys[row + d]);
      const float upper = float(keys[row + PAIRS + d]);
      const float a = float(cosine[size_t(key) * PAIRS + d]);
      const float b = float(sine[size_t(key) * PAIRS + d]);
      score += low[j] * (lower * a - upper * b) + high[j] * (upper * a + lower * b);
    }
  }
  score = simd_sum(score);
  const float higher = max(peak, score);
  const float shrink = exp(peak - higher);
  const float weight = exp(score - higher);
  total = total * shrink + weight;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    if (d < PAIRS) {
      low_sums[j] = low_sums[j] * shrink + weight * float(values[row + d]);
      high_sums[j] = high_sums[j] * shrink + weight * float(values[row + PAIRS + d]);
    }
  }
  peak = higher;
}
for (int j = 0; j < PER_LANE; ++j) {
  const uint d = lane + 32 * j;
  if (d < PAIRS) {
    out[at + d] = T(low_sums[j] / total);
    out[at + PAIRS + d] = T(high_sums[j] / total);
  }
}
