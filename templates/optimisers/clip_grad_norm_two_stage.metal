{%- from "rows.jinja" import group_reduce -%}
/*kernel
op = "clip_grad_norm"
inputs = ["x"]
outputs = ["parts"]
grid = ["ceildiv(count, THREADS * PER_THREAD) * THREADS", 1, 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
PER_THREAD = {{ per_thread }}
[temporaries.parts]
shape = ["ceildiv(count, {{ threads * per_thread }})"]
dtype = "float32"
*/
{{ group_reduce("group_sum", "simd_sum", "0.0f") -}}
// --- body ---
const uint count = x_shape[0];
const uint lane = thread_position_in_threadgroup.x;
const uint chunk = threadgroup_position_in_grid.x;
threadgroup float shared[32];
float sum = 0.0f;
for (uint j = 0; j < PER_THREAD; ++j) {
  const uint i = (chunk * PER_THREAD + j) * THREADS + lane;
  const float v = i < count ? float(x[i]) : 0.0f;
  sum += v * v;
}
sum = group_sum(sum, shared, thread_index_in_simdgroup, simdgroup_index_in_threadgroup,
                simdgroups_per_threadgroup);
if (lane == 0) {
  parts[chunk] = sum;
}
/*kernel
inputs = ["x", "parts", "most", "eps"]
outputs = ["out"]
grid = ["ceildiv(count, THREADS * PER_THREAD) * THREADS", 1, 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
PER_THREAD = {{ per_thread }}
*/
// --- body ---
const uint count = x_shape[0];
const uint chunks = parts_shape[0];
const uint lane = thread_position_in_threadgroup.x;
const uint chunk = threadgroup_position_in_grid.x;
threadgroup float shared[32];
float sum = 0.0f;
for (uint i = lane; i < chunks; i += THREADS) {
  sum += parts[i];
}
sum = group_sum(sum, shared, thread_index_in_simdgroup, simdgroup_index_in_threadgroup,
                simdgroups_per_threadgroup);
const float scale = min(1.0f, most / (sqrt(sum) + eps));
for (uint j = 0; j < PER_THREAD; ++j) {
  const uint i = (chunk * PER_THREAD + j) * THREADS + lane;
  if (i < count) {
    out[i] = T(float(x[i]) * scale);
  }
}
