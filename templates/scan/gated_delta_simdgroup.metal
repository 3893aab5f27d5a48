/*kernel
op = "gated_delta"
grid = [32, "value", "batch * heads"]
threadgroup = [32, {{ columns_per_group }}, 1]
[constants]
KEY = "key"
PER_LANE = "ceildiv(key, 32)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint column = thread_position_in_grid.y;
const size_t head = thread_position_in_grid.z;  // counted over the batch
const uint seq = q_shape[2];
const uint width = v_shape[3];
float held[PER_LANE];
for (int j = 0; j < PER_LANE; ++j) {
  const uint i = lane + 32 * j;
  held[j] = i < KEY ? state[(head * KEY + i) * width + column] : 0.0f;
}
for (uint t = 0; t < seq; ++t) {
  const size_t row = head * seq + t;
  const float kept = float(decay[row]);
  float keys[PER_LANE];
  float seen = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint i = lane + 32 * j;
    keys[j] = i < KEY ? float(k[row * KEY + i]) : 0.0f;
    held[j] *= kept;
    seen += held[j] * keys[j];
  }
  const float change = float(beta[row]) * (float(v[row * width + column]) - simd_sum(seen));
  float found = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint i = lane + 32 * j;
    held[j] += keys[j] * change;
    found += i < KEY ? held[j] * float(q[row * KEY + i]) : 0.0f;
  }
  found = simd_sum(found);
  if (lane == 0) {
    out[row * width + column] = T(found);
  }
}
for (int j = 0; j < PER_LANE; ++j) {
  const uint i = lane + 32 * j;
  if (i < KEY) {
    state_out[(head * KEY + i) * width + column] = held[j];
  }
}
