+++
op = "topk"
dtype = "float16"
why = "threadgroup array of 2048 overflows at 4,099 columns"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "topk"
grid = ["rows * 32", 1, 1]
threadgroup = [32, 1, 1]
[constants]
K = "k"
*/
inline uint rank_of(float v) {
  const uint bits = as_type<uint>(v);
  const uint magnitude = bits & 0x7fffffffu;
  const uint rank = bits >> 31 ? 0x80000000u - magnitude : 0x80000000u + magnitude;
  return magnitude > 0x7f800000u ? 1u : rank;
}
// --- body ---
const uint row = threadgroup_position_in_grid.x;
const uint lane = thread_index_in_simdgroup;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
// count how many elements beat each element: rank by counting, no barrier needed
threadgroup uint ranks[2048];
for (uint c = lane; c < cols; c += 32) ranks[c] = rank_of(float(from[c]));
threadgroup_barrier(mem_flags::mem_threadgroup);
for (uint c = lane; c < cols; c += 32) {
  uint beat = 0;
  const uint mine = ranks[c];
  for (uint d = 0; d < cols; ++d) beat += ranks[d] > mine || (ranks[d] == mine && d < c);
  if (beat < K) {
    values[size_t(row) * K + beat] = from[c];
    indices[size_t(row) * K + beat] = c;
  }
}
