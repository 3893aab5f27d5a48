{%- from "rows.jinja" import group_reduce -%}
/*kernel
op = "dot"
inputs = ["x", "y"]
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
  sum += i < count ? float(x[i]) * float(y[i]) : 0.0f;
}
sum = group_sum(sum, shared, thread_index_in_simdgroup, simdgroup_index_in_threadgroup,
                simdgroups_per_threadgroup);
if (lane == 0) {
  parts[chunk] = sum;
}
/*kernel
inputs = ["parts"]
outputs = ["out"]
grid = ["THREADS", 1, 1]
threadgroup = ["THREADS", 1, 1]
[constants]
THREADS = {{ threads }}
*/
// --- body ---
const uint chunks = parts_shape[0];
const uint lane = thread_position_in_threadgroup.x;
threadgroup float shared[32];
float sum = 0.0f;
for (uint i = lane; i < chunks; i += THREADS) {
  sum += parts[i];
}
sum = group_sum(sum, shared, thread_index_in_simdgroup, simdgroup_index_in_threadgroup,
                simdgroups_per_threadgroup);
if (lane == 0) {
  out[0] = T(sum);
}
