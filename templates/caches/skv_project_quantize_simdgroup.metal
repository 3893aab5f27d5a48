/*kernel
op = "skv_project_quantize"
grid = [32, "heads", "tokens"]
threadgroup = [32, {{ heads_per_group }}, 1]
[constants]
RANK = "rank"
UNROLL = {{ unroll }}
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint heads = x_shape[1];
const uint width = x_shape[2];
const uint head = thread_position_in_grid.y;
const size_t place = size_t(thread_position_in_grid.z) * heads + head;
auto from = x + place * width;
auto to = basis + size_t(head) * width * RANK;
const bool mine = lane < RANK;  // the lanes beyond the rank only take part

float sums[UNROLL] = {};
for (uint i = 0; i < width; i += UNROLL) {
  for (int j = 0; j < UNROLL; ++j) {
    sums[j] += mine && i + j < width ? float(from[i + j]) * float(to[(i + j) * RANK + lane]) : 0.0f;
  }
}
float projected = 0.0f;
for (int j = 0; j < UNROLL; ++j) {
  projected += sums[j];
}
const float low = simd_min(mine ? projected : INFINITY);
const float high = simd_max(mine ? projected : -INFINITY);
const float scale = max((high - low) / 255.0f, 1e-8f);
if (mine) {
  codes[place * RANK + lane] = uchar(clamp(rint((projected - low) / scale), 0.0f, 255.0f));
}
if (lane == 0) {
  scales[place] = scale;
  biases[place] = low;
}
