/*kernel
op = "cumsum"
grid = [64, "rows", 1]
threadgroup = [64, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint row = thread_position_in_grid.y;
const device T* from = x + row * x_shape[1];
device T* to = out + row * x_shape[1];
for (uint c = lane; c < x_shape[1]; c += 64) to[c] = from[c];  //! data_race
threadgroup_barrier(mem_flags::mem_threadgroup);
if (lane == 0)
  for (uint c = 1; c < x_shape[1]; ++c)
    to[c] += to[c - 1];  //! data_race
