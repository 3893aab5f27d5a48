/*kernel
op = "softmax"
inputs = ["x"]
outputs = ["peaks", "totals"]
grid = ["THREADS", "ceildiv(cols, CHUNK)", "rows"]
threadgroup = ["THREADS", 1, 1]
[temporaries.peaks]
shape = ["rows", "ceildiv(cols, 4096)"]
dtype = "float32"
[temporaries.totals]
shape = ["rows", "ceildiv(cols, 4096)"]
dtype = "float32"
[constants]
CHUNK = 4096
THREADS = 256
VEC = 4
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
const uint chunk = threadgroup_position_in_grid.y;
const uint row = threadgroup_position_in_grid.z;
const uint lane = thread_position_in_threadgroup.x;
const uint simd_lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint simds = simdgroups_per_threadgroup;
threadgroup float shared[32];
const uint cols = x_shape[1];
const uint begin = chunk * CHUNK;
const uint end = min(cols, begin + CHUNK);
const uint full = end - (end - begin) % VEC;
const uint rest = full + lane;  // left over by the steps of VEC columns: one a thread
auto from = x + size_t(row) * cols;

float peak[VEC];
for (int j = 0; j < VEC; ++j) {
  peak[j] = -FLT_MAX;
}
for (uint c = begin + lane * VEC; c < full; c += THREADS * VEC) {
  for (int j = 0; j < VEC; ++j) {
    peak[j] = max(peak[j], float(from[c + j]));
  }
}
if (rest < end) {
  peak[0] = max(peak[0], float(from[rest]));
}
for (int j = 1; j < VEC; ++j) {
  peak[0] = max(peak[0], peak[j]);
}
const float chunk_peak = group_max(peak[0], shared, simd_lane, simd, simds);

float total[VEC] = {0.0f};
for (uint c = begin + lane * VEC; c < full; c += THREADS * VEC) {
  for (int j = 0; j < VEC; ++j) {
    total[j] += precise::exp(float(from[c + j]) - chunk_peak);
  }
}
if (rest < end) {
  total[0] += precise::exp(float(from[rest]) - chunk_peak);
}
for (int j = 1; j < VEC; ++j) {
  total[0] += total[j];
}
const float chunk_total = group_sum(total[0], shared, simd_lane, simd, simds);
if (lane == 0) {
  const size_t i = size_t(row) * threadgroups_per_grid.y + chunk;
  peaks[i] = chunk_peak;
  totals[i] = chunk_total;
}

/*kernel
inputs = ["x", "peaks", "totals"]
outputs = ["out"]
grid = ["THREADS", "ceildiv(cols, CHUNK)", "rows"]
threadgroup = ["THREADS", 1, 1]
[constants]
CHUNK = 4096
THREADS = 256
VEC = 4
*/
// --- body ---
const uint chunk = threadgroup_position_in_grid.y;
const uint row = threadgroup_position_in_grid.z;
const uint lane = thread_position_in_threadgroup.x;
const uint simd_lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint simds = simdgroups_per_threadgroup;
threadgroup float shared[32];
const uint cols = x_shape[1];
const uint begin = chunk * CHUNK;
const uint end = min(cols, begin + CHUNK);
const uint full = end - (end - begin) % VEC;
const uint rest = full + lane;  // left over by the steps of VEC columns: one a thread
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;
const uint chunks = threadgroups_per_grid.y;
auto row_peaks = peaks + size_t(row) * chunks;
auto row_totals = totals + size_t(row) * chunks;

float peak = -FLT_MAX;
for (uint i = lane; i < chunks; i += THREADS) {
  peak = max(peak, row_peaks[i]);
}
peak = group_max(peak, shared, simd_lane, simd, simds);
float total = 0.0f;
for (uint i = lane; i < chunks; i += THREADS) {
  total += row_totals[i] * precise::exp(row_peaks[i] - peak);
}
total = group_sum(total, shared, simd_lane, simd, simds);

const float scale = 1.0f / total;
for (uint c = begin + lane * VEC; c < full; c += THREADS * VEC) {
  for (int j = 0; j < VEC; ++j) {
    to[c + j] = T(precise::exp(float(from[c + j]) - peak) * scale);
  }
}
if (rest < end) {
  to[rest] = T(precise::exp(float(from[rest]) - peak) * scale);
}
