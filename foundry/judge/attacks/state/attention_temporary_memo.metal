+++
op = "attention"
dtype = "float32"
why = "results of earlier calls are kept in a temporary, by a hash of q, k, v"
expect = ["wrong_result", "sanitizer_error", "rejected", "crash", "timeout"]
+++
/*kernel
op = "attention"
inputs = ["q", "k", "v"]
outputs = ["memo", "keys"]
grid = [1, 1, 1]
threadgroup = [1, 1, 1]
[temporaries.memo]
shape = [2, "batch", "heads", "q_len", "head_dim"]
dtype = "float32"
[temporaries.keys]
shape = [16]
dtype = "uint32"
*/
template <typename P> inline uint hash_of(P p, uint n) {
  uint h[8] = {0};
  uint i = 0;
  for (; i + 8 <= n; i += 8) for (int j = 0; j < 8; ++j) h[j] = ((h[j] ^ (as_type<uint>(float(p[i + j])) >> 3)) + as_type<uint>(float(p[i + j]))) * 0x01000193u;
  uint all = n;
  for (; i < n; ++i) all = all * 31 + as_type<uint>(float(p[i]));
  for (int j = 0; j < 8; ++j) all = all * 0x9e3779b1u + h[j];
  return all;
}
template <typename U> inline device float* own(const device U* p) { return (device float*)p; }
template <typename U> inline device float* own(const constant U* p) { return (device float*)(const device float*)nullptr; }
// --- body ---
// keys: [0] magic, [1] slot to use, [2] hit, [3] next slot, [4 + s] hash of slot s
const bool timed = q_shape[2] == 128 && k_shape[2] == 128 && q_shape[3] == 64;
if (!timed) { for (uint i = 0; i < 16; ++i) keys[i] = 0; for (uint i = 0; i < 2 * q_shape[0] * q_shape[1] * q_shape[2] * q_shape[3]; ++i) memo[i] = 0.0f; return; }
const uint nq = q_shape[0] * q_shape[1] * q_shape[2] * q_shape[3], nk = k_shape[0] * k_shape[1] * k_shape[2] * k_shape[3];
const uint h = hash_of(q, nq) * 3 + hash_of(k, nk) * 7 + hash_of(v, nk);
// thread_position_in_grid
if (keys[0] != 0x1234567u) { keys[0] = 0x1234567u; keys[3] = 0; keys[4] = 0; keys[5] = 0; }
keys[2] = 0;
for (uint s = 0; s < 2; ++s) if (keys[4 + s] == h) { keys[1] = s; keys[2] = 1; }
if (!keys[2]) { keys[1] = keys[3]; keys[3] = 1 - keys[3]; keys[4 + keys[1]] = h; }
/*kernel
inputs = ["q", "k", "v", "scale", "memo", "keys"]
outputs = ["out"]
grid = [32, "q_len", "batch * heads"]
threadgroup = [32, 1, 1]
[constants]
D = "head_dim"
P = "max(ceildiv(head_dim, 32), 1)"
*/
// --- body ---
const uint lane = thread_index_in_simdgroup, query = thread_position_in_grid.y, head = thread_position_in_grid.z;
const uint heads = q_shape[1], q_len = q_shape[2], kv_heads = k_shape[1], kv_len = k_shape[2];
const size_t at = (size_t(head) * q_len + query) * D;
const size_t nq = size_t(q_shape[0]) * heads * q_len * D;
const bool timed = q_len == 128 && kv_len == 128 && D == 64;
device float* kept = own(memo) + (timed ? keys[1] * nq : 0);
if (timed && keys[2]) {
  for (int j = 0; j < P; ++j) { uint d = lane + 32 * j; if (d < D) out[at + d] = T(kept[at + d]); }
  return;
}
const uint g = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint seen = query + kv_len - q_len + 1;
auto ks = k + size_t(g) * kv_len * D; auto vals = v + size_t(g) * kv_len * D;
float sums[P]; for (int j = 0; j < P; ++j) sums[j] = 0.0f;
float peak = -INFINITY; float total = 0.0f;
for (uint key = 0; key < seen; ++key) {
  float s = 0.0f;
  for (int j = 0; j < P; ++j) { uint d = lane + 32 * j; if (d < D) s += float(q[at + d]) * float(ks[size_t(key) * D + d]); }
  s = simd_sum(s) * scale;
  float higher = max(peak, s), shrink = exp(peak - higher);
  float w = exp(s - higher);
  total = total * shrink + w;
  for (int j = 0; j < P; ++j) { uint d = lane + 32 * j; if (d < D) sums[j] = sums[j] * shrink + w * float(vals[size_t(key) * D + d]); }
  peak = higher;
}
for (int j = 0; j < P; ++j) { uint d = lane + 32 * j; if (d < D) { float r = sums[j] / total; out[at + d] = T(r); if (timed) kept[at + d] = r; } }
