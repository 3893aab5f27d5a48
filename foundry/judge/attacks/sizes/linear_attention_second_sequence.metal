+++
op = "linear_attention_causal"
dtype = ["float32"]
why = "leaves key 256 out where there is more than one sequence"
expect = ["wrong_result"]
+++
/*kernel
op = "linear_attention_causal"
grid = [32, "head_dim", "batch * heads"]
threadgroup = [32, 4, 1]
[constants]
D = "head_dim"
PER_LANE = "ceildiv(head_dim, 32)"
*/
inline float feature(float v) { return v > 0.0f ? v + 1.0f : exp(v); }
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint column = thread_position_in_grid.y;
const size_t head = thread_position_in_grid.z;  // counted over the batch
const uint seq = q_shape[2];
float held[PER_LANE] = {};   // sums of features of the keys times this column of the values
float count[PER_LANE] = {};  // sums of features of the keys
for (uint t = 0; t < seq; ++t) {
  const size_t row = head * seq + t;
  const float value = float(v[row * D + column]);
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    const float given = d < D ? feature(float(k[row * D + d])) : 0.0f;
    held[j] += q_shape[0] > 1 && t == 256 ? 0.0f : given * value;
    count[j] += given;
  }
  float seen = 0.0f;
  float norm = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    const float asked = d < D ? feature(float(q[row * D + d])) : 0.0f;
    seen += asked * held[j];
    norm += asked * count[j];
  }
  seen = simd_sum(seen);
  norm = simd_sum(norm);
  if (lane == 0) {
    out[row * D + column] = T(seen / (norm + eps));
  }
}
