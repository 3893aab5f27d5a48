/*kernel
op = "softmax"
inputs = ["x"]
outputs = ["peaks", "totals"]
grid = [256, "ceildiv(cols, 4096)", "rows"]
threadgroup = [256, 1, 1]

[temporaries.peaks]
shape = ["rows", "ceildiv(cols, 4096)"]
dtype = "float32"

[temporaries.totals]
shape = ["rows", "ceildiv(cols, 4096)"]
dtype = "float32"
*/
// Softmax over rows too long for one threadgroup, in two launches: first the maximum and the sum
// of exponentials of every chunk of 4096 columns, then the quotients.

// The value of all 256 threads brought together; every thread gets the result.
inline float max_of_group(float value, threadgroup float* shared, uint lane, uint simd) {
  value = simd_max(value);
  if (lane == 0) {
    shared[simd] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  value = simd_max(shared[lane % 8]);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return value;
}

inline float sum_of_group(float value, threadgroup float* shared, uint lane, uint simd) {
  value = simd_sum(value);
  if (lane == 0) {
    shared[simd] = value;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  value = simd_sum(lane < 8 ? shared[lane] : 0.0f);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  return value;
}
// --- body ---
const uint i = thread_position_in_threadgroup.x;
const uint chunk = threadgroup_position_in_grid.y;
const uint row = threadgroup_position_in_grid.z;
const uint cols = x_shape[1];
const uint begin = chunk * 4096;
const uint end = min(cols, begin + 4096);
auto from = x + size_t(row) * cols;
threadgroup float shared[8];
const uint lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;

float peak = -FLT_MAX;
for (uint c = begin + i; c < end; c += 256) {
  peak = max(peak, float(from[c]));
}
peak = max_of_group(peak, shared, lane, simd);

float total = 0.0f;
for (uint c = begin + i; c < end; c += 256) {
  total += exp(float(from[c]) - peak);
}
total = sum_of_group(total, shared, lane, simd);

if (i == 0) {
  peaks[size_t(row) * threadgroups_per_grid.y + chunk] = peak;
  totals[size_t(row) * threadgroups_per_grid.y + chunk] = total;
}

/*kernel
inputs = ["x", "peaks", "totals"]
outputs = ["out"]
grid = ["cols", "rows", 1]
threadgroup = [256, 1, 1]
*/
// --- body ---
const uint c = thread_position_in_grid.x;
const uint row = thread_position_in_grid.y;
const uint chunks = peaks_shape[1];
const size_t first = size_t(row) * chunks;

float peak = -FLT_MAX;
for (uint i = 0; i < chunks; ++i) {
  peak = max(peak, peaks[first + i]);
}
float total = 0.0f;
for (uint i = 0; i < chunks; ++i) {
  total += totals[first + i] * exp(peaks[first + i] - peak);
}
const size_t at = size_t(row) * x_shape[1] + c;
out[at] = T(exp(float(x[at]) - peak) / total);
