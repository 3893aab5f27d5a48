/*kernel
op = "softmax"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint row = thread_position_in_grid.y;
const device T* from = x + row * x_shape[1];
device T* to = out + row * x_shape[1];
threadgroup atomic_int flag;
atomic_store_explicit(&flag, 0, memory_order_relaxed);
threadgroup_barrier(mem_flags::mem_threadgroup);
if (lane == 0)
  while (atomic_load_explicit(&flag, memory_order_relaxed) == 0) {  //! runaway_loop
  }
for (uint c = lane; c < x_shape[1]; c += 32) to[c] = from[c];
