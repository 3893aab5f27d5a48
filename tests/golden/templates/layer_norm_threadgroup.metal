/*kernel
op = "layer_norm"
grid = ["THREADS", "rows", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = 256
*/
// Every thread gets the result; `shared` may be used again at once.
inline float group_sum(float value, threadgroup float* shared, uint lane, uint simd, uint simds) {
  value = simd_sum(value);
  if (lane == 0) {
    shared[simd] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  value = simd_sum(lane < simds ? shared[lane] : 0.0f);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return value;
}
// --- body ---
const uint row = threadgroup_position_in_grid.y;
const uint lane = thread_position_in_threadgroup.x;
const uint cols = x_shape[1];
const uint simd_lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint simds = simdgroups_per_threadgroup;
threadgroup float shared[32];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float sum = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  sum += float(from[c]);
}
const float mean = group_sum(sum, shared, simd_lane, simd, simds) / cols;

// The sum of deviations is what rounding left in the mean: it matters where the mean is far larger
// than the deviation.
float drifts = 0.0f;
float squares = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  const float d = float(from[c]) - mean;
  drifts += d;
  squares += d * d;
}
const float drift = group_sum(drifts, shared, simd_lane, simd, simds) / cols;
const float variance = max(group_sum(squares, shared, simd_lane, simd, simds) / cols - drift * drift, 0.0f);
const float scale = rsqrt(variance + eps);

for (uint c = lane; c < cols; c += THREADS) {
  const float d = (float(from[c]) - mean) - drift;
  to[c] = T(d * scale * float(weight[c]) + float(bias[c]));
}
