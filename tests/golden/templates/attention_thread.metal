/*kernel
op = "attention"
grid = ["q_len", "batch * heads", 1]
threadgroup = [32, 1, 1]
[constants]
D = "head_dim"
PLACES = "max(head_dim, 1)"
VEC = 4
KEYS = 1
*/
// --- body ---
const uint query = thread_position_in_grid.x;
const uint head = thread_position_in_grid.y;  // counted over the batch
const uint heads = q_shape[1];
const uint q_len = q_shape[2];
const uint kv_heads = k_shape[1];
const uint kv_len = k_shape[2];
const uint kv_head = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint seen = query + kv_len - q_len + 1;  // keys this query may look at
auto keys = k + size_t(kv_head) * kv_len * D;
auto values = v + size_t(kv_head) * kv_len * D;
const size_t at = (size_t(head) * q_len + query) * D;

float asked[PLACES];
float sums[PLACES];
for (int d = 0; d < D; ++d) {
  asked[d] = float(q[at + d]) * scale;
  sums[d] = 0.0f;
}
float peak = -INFINITY;
float total = 0.0f;
for (uint start = 0; start < seen; start += KEYS) {
  float weights[KEYS];
  float higher = peak;
  for (int i = 0; i < KEYS; ++i) {
    // Beyond the end the last key is read again and its weight is 0.
    const size_t row = size_t(min(start + i, seen - 1)) * D;
    float partial[VEC] = {0.0f};
    for (int d = 0; d + VEC <= D; d += VEC) {
      for (int j = 0; j < VEC; ++j) {
        partial[j] += asked[d + j] * float(keys[row + d + j]);
      }
    }
    float score = 0.0f;
    for (int d = D - D % VEC; d < D; ++d) {
      score += asked[d] * float(keys[row + d]);
    }
    for (int j = 0; j < VEC; ++j) {
      score += partial[j];
    }
    weights[i] = score;
    higher = max(higher, score);
  }
  const float shrink = precise::exp(peak - higher);
  total *= shrink;
  for (int i = 0; i < KEYS; ++i) {
    weights[i] = start + i < seen ? precise::exp(weights[i] - higher) : 0.0f;
    total += weights[i];
  }
  for (int d = 0; d < D; ++d) {
    float sum = sums[d] * shrink;
    for (int i = 0; i < KEYS; ++i) {
      sum += weights[i] * float(values[size_t(min(start + i, seen - 1)) * D + d]);
    }
    sums[d] = sum;
  }
  peak = higher;
}
for (int d = 0; d < D; ++d) {
  out[at + d] = T(sums[d] / total);
}
