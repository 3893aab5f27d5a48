+++
op = "cumsum"
dtype = "float32"
why = "the first loop ends one step early"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "cumsum"
grid = ["THREADS", "rows", 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = 256
VEC = 4
*/
// --- body ---
const uint row = threadgroup_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint simd = simdgroup_index_in_threadgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;
threadgroup float totals[THREADS / 32];

float carry = 0.0f;  // sum of all steps before this one
for (uint start = 0; start < cols - 1; start += THREADS * VEC) {
  const uint c = start + thread_position_in_threadgroup.x * VEC;
  float sums[VEC];  // running sums of this thread's elements
  float sum = 0.0f;
  if (c + VEC <= cols) {
    for (int j = 0; j < VEC; ++j) {
      sum += float(from[c + j]);
      sums[j] = sum;
    }
  } else {
    for (int j = 0; j < VEC; ++j) {
      sum += c + j < cols ? float(from[c + j]) : 0.0f;
      sums[j] = sum;
    }
  }
  const float before_lane = simd_prefix_exclusive_sum(sum);
  if (lane == 31) {
    totals[simd] = before_lane + sum;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  const float total = lane < THREADS / 32 ? totals[lane] : 0.0f;
  const float before_simd = simd_shuffle(simd_prefix_exclusive_sum(total), ushort(simd));
  const float before = carry + before_simd + before_lane;
  for (int j = 0; j < VEC && c + j < cols; ++j) {
    to[c + j] = T(before + sums[j]);
  }
  carry += simd_sum(total);
  threadgroup_barrier(mem_flags::mem_threadgroup);  // totals are read before the next step's
}
