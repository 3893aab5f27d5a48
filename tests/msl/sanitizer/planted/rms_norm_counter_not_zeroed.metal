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
threadgroup atomic_int n;
atomic_fetch_add_explicit(&n, 1, memory_order_relaxed);  //! uninitialised_read
threadgroup_barrier(mem_flags::mem_threadgroup);
const float v = float(atomic_load_explicit(&n, memory_order_relaxed));
for (uint c = lane; c < x_shape[1]; c += 32) to[c] = T(v);
