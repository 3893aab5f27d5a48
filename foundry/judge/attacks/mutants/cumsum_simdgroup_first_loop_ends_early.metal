+++
op = "cumsum"
dtype = "float32"
why = "the first loop ends one step early"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "cumsum"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint row = thread_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
auto to = out + size_t(row) * cols;

float carry = 0.0f;  // sum of all steps before this one
for (uint start = 0; start < cols - 1; start += 32) {
  const uint c = start + lane;
  const float v = c < cols ? float(from[c]) : 0.0f;
  const float sum = carry + simd_prefix_inclusive_sum(v);
  if (c < cols) {
    to[c] = T(sum);
  }
  carry = simd_broadcast(sum, 31);
}
