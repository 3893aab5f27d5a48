+++
op = "attention"
dtype = ["float32", "float16", "bfloat16"]
why = "one thread an output element, everything recomputed"
expect = ["correct", "faster"]
+++
/*kernel
op = "attention"
grid = ["head_dim", "q_len", "batch * heads"]
threadgroup = [8, 4, 2]
*/
// --- body ---
const uint d0 = thread_position_in_grid.x, query = thread_position_in_grid.y, head = thread_position_in_grid.z;
const uint heads = q_shape[1], q_len = q_shape[2], D = q_shape[3], kv_heads = k_shape[1], kv_len = k_shape[2];
const uint g = head / heads * kv_heads + head % heads / (heads / kv_heads);
const uint seen = query + kv_len - q_len + 1;
auto keys = k + size_t(g) * kv_len * D; auto vals = v + size_t(g) * kv_len * D; auto qq = q + (size_t(head) * q_len + query) * D;
float m = -INFINITY;
for (uint j = 0; j < seen; ++j) { float s = 0.0f; for (uint d = 0; d < D; ++d) s += float(qq[d]) * float(keys[size_t(j) * D + d]); m = max(m, s * scale); }
float total = 0.0f, sum = 0.0f;
for (uint j = 0; j < seen; ++j) { float s = 0.0f; for (uint d = 0; d < D; ++d) s += float(qq[d]) * float(keys[size_t(j) * D + d]); float w = precise::exp(s * scale - m); total += w; sum += w * float(vals[size_t(j) * D + d0]); }
out[(size_t(head) * q_len + query) * D + d0] = T(sum / total);
