+++
op = "matmul"
dtype = ["float32", "float16", "bfloat16"]
why = "simdgroup_matrix 8x8, staged with zero padding"
expect = ["correct", "faster"]
+++
/*kernel
op = "matmul"
grid = ["ceildiv(n, 8) * 32", "ceildiv(m, 8)", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint m = a_shape[0], n = b_shape[0], depth = a_shape[1], lane = thread_index_in_simdgroup;
const uint r0 = threadgroup_position_in_grid.y * 8, c0 = threadgroup_position_in_grid.x * 8;
threadgroup float at[64]; threadgroup float bt[64]; threadgroup float res[64];
simdgroup_float8x8 acc = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
for (uint p = 0; p < depth; p += 8) {
  for (uint i = lane; i < 64; i += 32) {
    uint r = i / 8, d = i % 8;
    at[i] = r0 + r < m && p + d < depth ? float(a[size_t(r0 + r) * depth + p + d]) : 0.0f;
    bt[i] = c0 + r < n && p + d < depth ? float(b[size_t(c0 + r) * depth + p + d]) : 0.0f;
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  simdgroup_float8x8 l, rr;
  simdgroup_load(l, at, 8);
  simdgroup_load(rr, bt, 8, ulong2(0, 0), true);
  simdgroup_multiply_accumulate(acc, l, rr, acc);
  simdgroup_barrier(mem_flags::mem_threadgroup);
}
simdgroup_store(acc, res, 8);
simdgroup_barrier(mem_flags::mem_threadgroup);
for (uint i = lane; i < 64; i += 32) {
  uint r = r0 + i / 8, c = c0 + i % 8;
  if (r < m && c < n) out[size_t(r) * n + c] = T(res[i]);
}
