/*kernel
op = "gated_delta"
grid = ["value", "batch * heads", 1]
threadgroup = [{{ threads }}, 1, 1]
[constants]
KEY = "key"
*/
// --- body ---
const uint column = thread_position_in_grid.x;
const size_t head = thread_position_in_grid.y;  // counted over the batch
const uint seq = q_shape[2];
const uint width = v_shape[3];
float held[KEY];
for (uint i = 0; i < KEY; ++i) {
  held[i] = state[(head * KEY + i) * width + column];
}
for (uint t = 0; t < seq; ++t) {
  const size_t row = head * seq + t;
  const float kept = float(decay[row]);
  float seen = 0.0f;
  for (uint i = 0; i < KEY; ++i) {
    held[i] *= kept;
    seen += held[i] * float(k[row * KEY + i]);
  }
  const float change = float(beta[row]) * (float(v[row * width + column]) - seen);
  float found = 0.0f;
  for (uint i = 0; i < KEY; ++i) {
    held[i] += float(k[row * KEY + i]) * change;
    found += held[i] * float(q[row * KEY + i]);
  }
  out[row * width + column] = T(found);
}
for (uint i = 0; i < KEY; ++i) {
  state_out[(head * KEY + i) * width + column] = held[i];
}
