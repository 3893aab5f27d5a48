+++
op = "topk"
dtype = "float16"
why = "vector loads misaligned on odd rows of hidden sizes"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout", "build_error"]
+++
/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [1, 1, 1]
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
const uint row = thread_position_in_grid.x;
const uint cols = x_shape[1];
auto from = x + size_t(row) * cols;
constexpr uint KK = K > 0 ? K : 1;
ulong keys[KK];
if (K > 0) {
  for (uint i = 0; i < KK; ++i) keys[i] = 0;
  const device vec<T, 4>* from4 = (const device vec<T, 4>*)from;
  for (uint c4 = 0; c4 < cols / 4; ++c4) {
    const vec<T, 4> v = from4[c4];
    for (uint j = 0; j < 4; ++j) {
      const uint c = c4 * 4 + j;
      const ulong key = (ulong(rank_of(float(v[j]))) << 32) | (0xffffffffu - c);
      if (key > keys[KK - 1]) {
        uint at = KK - 1;
        while (at > 0 && keys[at - 1] < key) { keys[at] = keys[at - 1]; --at; }
        keys[at] = key;
      }
    }
  }
  for (uint c = cols / 4 * 4; c < cols; ++c) {
    const ulong key = (ulong(rank_of(float(from[c]))) << 32) | (0xffffffffu - c);
    if (key > keys[KK - 1]) {
      uint at = KK - 1;
      while (at > 0 && keys[at - 1] < key) { keys[at] = keys[at - 1]; --at; }
      keys[at] = key;
    }
  }
  for (uint i = 0; i < KK; ++i) {
    const uint c = 0xffffffffu - uint(keys[i]);
    values[size_t(row) * K + i] = from[c];
    indices[size_t(row) * K + i] = c;
  }
}
