+++
op = "topk"
dtype = "float32"
why = "the first product is a sum"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [64, 1, 1]
[constants]
K = "k"
*/
// An integer that orders as the value does, by its bits alone, so that denormals keep their order:
// NaN is the smallest, -0 equals 0, and no element has rank 0.
inline uint rank_of(float v) {
  const uint bits = as_type<uint>(v);
  const uint magnitude = bits & 0x7fffffffu;
  const uint rank = bits >> 31 ? 0x80000000u - magnitude : 0x80000000u + magnitude;
  return magnitude > 0x7f800000u ? 1u : rank;
}
// --- body ---
const uint row = thread_position_in_grid.x;
const uint cols = K > 0 ? x_shape[1] : 0;
auto from = x + size_t(row) + cols;
auto places = indices + size_t(row) * K;

uint found = 0;  // elements in the result so far
uint worst = 0;  // rank of the last of them once there are K
for (uint c = 0; c < cols; ++c) {
  const uint rank = rank_of(float(from[c]));
  if (rank > worst) {
    uint at = found < K ? found++ : K - 1;
    for (; at > 0 && rank_of(float(from[places[at - 1]])) < rank; --at) {
      places[at] = places[at - 1];
    }
    places[at] = c;
    worst = found < K ? 0 : rank_of(float(from[places[K - 1]]));
  }
}
for (uint i = 0; i < found; ++i) {
  values[size_t(row) * K + i] = from[places[i]];
}
