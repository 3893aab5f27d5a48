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
threadgroup float s[64];
s[lane] = lane < x_shape[1] ? float(from[lane]) : 0.0f;
threadgroup_barrier(mem_flags::mem_threadgroup);
for (uint d = 1; d < 64; d *= 2) {
  const float v = lane >= d ? s[lane - d] : 0.0f;  //! data_race
  s[lane] += v;  //! data_race
  threadgroup_barrier(mem_flags::mem_threadgroup);
}
for (uint c = lane; c < x_shape[1]; c += 64) to[c] = T(s[lane]);
