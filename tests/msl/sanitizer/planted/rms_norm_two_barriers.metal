/*kernel
op = "rms_norm"
grid = [64, "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint row = thread_position_in_grid.y;
const device T* from = x + row * x_shape[1];
device T* to = out + row * x_shape[1];
if (lane < 32)
  threadgroup_barrier(mem_flags::mem_threadgroup);  //! barrier_divergence
else
  threadgroup_barrier(mem_flags::mem_threadgroup);
for (uint c = lane; c < x_shape[1]; c += 64) to[c] = from[c];
