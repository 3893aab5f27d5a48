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

// Two passes, and every element less the row's first: neither the mean's rounding nor the sum of
// squares loses digits where the mean is far larger than the deviation.
const float origin = cols > 0 ? float(from[0]) : 0.0f;
float sum = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  sum += float(from[c]) - origin;
}
const float mean = group_sum(sum, shared, simd_lane, simd, simds) / cols;

float squares = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  const float d = (float(from[c]) - origin) - mean;
  squares += d * d;
}
const float variance = group_sum(squares, shared, simd_lane, simd, simds) / cols;
const float scale = rsqrt(variance + eps);

for (uint c = lane; c < cols; c += THREADS) {
  const float d = (float(from[c]) - origin) - mean;
  to[c] = T(d * scale * float(weight[c]) + float(bias[c]));
}
