/*kernel
op = "softmax"
grid = ["THREADS", "rows", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = 256
*/
// Every thread gets the result; `shared` may be used again at once.
inline float group_max(float value, threadgroup float* shared, uint lane, uint simd, uint simds) {
  value = simd_max(value);
  if (lane == 0) {
    shared[simd] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  value = simd_max(lane < simds ? shared[lane] : -INFINITY);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return value;
}

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

float peak = -INFINITY;
for (uint c = lane; c < cols; c += THREADS) {
  peak = max(peak, float(from[c]));
}
const float row_peak = group_max(peak, shared, simd_lane, simd, simds);

float total = 0.0f;
for (uint c = lane; c < cols; c += THREADS) {
  total += precise::exp(float(from[c]) - row_peak);
}
const float row_total = group_sum(total, shared, simd_lane, simd, simds);

const float scale = 1.0f / row_total;
for (uint c = lane; c < cols; c += THREADS) {
  to[c] = T(precise::exp(float(from[c]) - row_peak) * scale);
}
