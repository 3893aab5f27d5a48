+++
op = "cumsum"
dtype = "float32"
why = "the last loop ends one step early"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "cumsum"
inputs = ["x"]
outputs = ["totals"]
grid = [32, "ceildiv(cols, CHUNK)", "rows"]
threadgroup = [32, 1, 1]
[temporaries.totals]
shape = ["rows", "ceildiv(cols, 4096)"]
dtype = "float32"
[constants]
CHUNK = 4096
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint chunk = thread_position_in_grid.y;
const uint row = thread_position_in_grid.z;
const uint cols = x_shape[1];
const uint end = min(cols, (chunk + 1) * CHUNK);
auto from = x + size_t(row) * cols;

float sums[4] = {0.0f};
uint c = chunk * CHUNK + lane;
for (; c + 96 < end; c += 128) {
  for (int j = 0; j < 4; ++j) {
    sums[j] += float(from[c + 32 * j]);
  }
}
for (; c < end; c += 32) {
  sums[0] += float(from[c]);
}
const float total = simd_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
if (lane == 0) {
  totals[size_t(row) * threads_per_grid.y + chunk] = total;
}

/*kernel
inputs = ["x", "totals"]
outputs = ["out"]
grid = [32, "ceildiv(cols, CHUNK)", "rows"]
threadgroup = [32, 1, 1]
[constants]
CHUNK = 4096
VEC = 4
*/
// --- body ---
const uint lane = thread_index_in_simdgroup;
const uint chunk = thread_position_in_grid.y;
const uint row = thread_position_in_grid.z;
const uint cols = x_shape[1];
const uint end = min(cols, (chunk + 1) * CHUNK);
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;
auto row_totals = totals + size_t(row) * threads_per_grid.y;

float carry = 0.0f;  // sum of all elements before this step
for (uint i = lane; i < chunk; i += 32) {
  carry += row_totals[i];
}
carry = simd_sum(carry);
for (uint start = chunk * CHUNK; start < end; start += 32 * VEC) {
  const uint c = start + lane * VEC;
  float sums[VEC];  // running sums of this lane's elements
  float sum = 0.0f;
  if (c + VEC <= end) {
    for (int j = 0; j < VEC; ++j) {
      sum += float(from[c + j]);
      sums[j] = sum;
    }
  } else {
    for (int j = 0; j < VEC; ++j) {
      sum += c + j < end ? float(from[c + j]) : 0.0f;
      sums[j] = sum;
    }
  }
  const float before = carry + simd_prefix_exclusive_sum(sum);
  for (int j = 0; j < VEC - 1 && c + j < end; ++j) {
    to[c + j] = T(before + sums[j]);
  }
  carry = simd_broadcast(before + sum, 31);
}
