/*kernel
op = "linear_attention_cosformer"
grid = [32, "head_dim", "batch * heads"]
threadgroup = [32, {{ columns_per_group }}, 1]
[constants]
D = "head_dim"
PER_LANE = "ceildiv(head_dim, 32)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint column = thread_position_in_grid.y;
const size_t head = thread_position_in_grid.z;  // counted over the batch
const uint seq = q_shape[2];
const float turn = 1.57079633f / float(seq);
// Sums over the keys, by cosine (x) and sine (y) of their places: features times this column of
// the values, and features alone.
float2 held[PER_LANE] = {};
float2 count[PER_LANE] = {};
for (uint t = 0; t < seq; ++t) {
  const size_t row = head * seq + t;
  const float2 place = float2(cos(turn * float(t)), sin(turn * float(t)));
  const float value = float(v[row * D + column]);
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    const float given = d < D ? max(float(k[row * D + d]), 0.0f) : 0.0f;
    held[j] += place * (given * value);
    count[j] += place * given;
  }
}
for (uint t = 0; t < seq; ++t) {
  const size_t row = head * seq + t;
  const float2 place = float2(cos(turn * float(t)), sin(turn * float(t)));
  float2 seen = 0.0f;
  float2 norm = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint d = lane + 32 * j;
    const float asked = d < D ? max(float(q[row * D + d]), 0.0f) : 0.0f;
    seen += asked * held[j];
    norm += asked * count[j];
  }
  seen = float2(simd_sum(seen.x), simd_sum(seen.y));
  norm = float2(simd_sum(norm.x), simd_sum(norm.y));
  if (lane == 0) {
    out[row * D + column] = T(dot(place, seen) / (dot(place, norm) + eps));
  }
}
