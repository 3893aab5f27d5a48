/*kernel
op = "linear_attention_favor"
inputs = ["q", "k", "directions"]
outputs = ["asked", "given"]
grid = ["features", "batch * heads * seq", 2]
threadgroup = [{{ threads }}, 1, 1]
[temporaries.asked]
shape = ["batch * heads * seq", "features"]
dtype = "float32"
[temporaries.given]
shape = ["batch * heads * seq", "features"]
dtype = "float32"
*/
// --- body ---
const uint feature = thread_position_in_grid.x;
const size_t row = thread_position_in_grid.y;
const bool is_key = thread_position_in_grid.z == 1;
const uint width = q_shape[3];
const uint features = directions_shape[0];
const float scale = rsqrt(sqrt(float(width)));
float dots = 0.0f;
float squares = 0.0f;
for (uint d = 0; d < width; ++d) {
  const float held = (is_key ? float(k[row * width + d]) : float(q[row * width + d])) * scale;
  dots += held * float(directions[feature * width + d]);
  squares += held * held;
}
const float found = exp(dots - 0.5f * squares);
if (is_key) {
  given[row * features + feature] = found;
} else {
  asked[row * features + feature] = found;
}
/*kernel
inputs = ["asked", "given", "v", "eps"]
outputs = ["out"]
grid = [32, "head_dim", "batch * heads"]
threadgroup = [32, {{ columns_per_group }}, 1]
[constants]
FEATURES = "features"
PER_LANE = "ceildiv(features, 32)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint column = thread_position_in_grid.y;
const size_t head = thread_position_in_grid.z;  // counted over the batch
const uint seq = v_shape[2];
const uint width = v_shape[3];
float held[PER_LANE] = {};   // sums of features of the keys times this column of the values
float count[PER_LANE] = {};  // sums of features of the keys
for (uint t = 0; t < seq; ++t) {
  const size_t row = head * seq + t;
  const float value = float(v[row * width + column]);
  for (int j = 0; j < PER_LANE; ++j) {
    const uint m = lane + 32 * j;
    const float feature = m < FEATURES ? given[row * FEATURES + m] : 0.0f;
    held[j] += feature * value;
    count[j] += feature;
  }
}
for (uint t = 0; t < seq; ++t) {
  const size_t row = head * seq + t;
  float seen = 0.0f;
  float norm = 0.0f;
  for (int j = 0; j < PER_LANE; ++j) {
    const uint m = lane + 32 * j;
    const float feature = m < FEATURES ? asked[row * FEATURES + m] : 0.0f;
    seen += feature * held[j];
    norm += feature * count[j];
  }
  seen = simd_sum(seen);
  norm = simd_sum(norm);
  if (lane == 0) {
    out[row * width + column] = T(seen / (norm + eps));
  }
}
