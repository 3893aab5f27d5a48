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
threadgroup atomic_int n;
if (lane == 0) atomic_store_explicit(&n, 0, memory_order_relaxed);
threadgroup_barrier(mem_flags::mem_threadgroup);
atomic_fetch_add_explicit(&n, int(lane), memory_order_relaxed);  //! data_race
const int seen = *(threadgroup int*)&n;  //! data_race
for (uint c = lane; c < x_shape[1]; c += 64) to[c] = T(float(seen));
