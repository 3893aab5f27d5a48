/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint row = thread_position_in_grid.y;
const device T* from = x + row * x_shape[1];
device T* to = out + row * x_shape[1];
if (lane % 2)
  simdgroup_barrier(mem_flags::mem_none);  //! simd_divergence
const float v = simd_sum(1.0f);  //! simd_divergence
for (uint c = lane; c < x_shape[1]; c += 32) to[c] = T(v);
