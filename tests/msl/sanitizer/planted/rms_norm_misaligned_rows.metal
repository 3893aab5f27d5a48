/*kernel
op = "rms_norm"
grid = [32, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x;
const uint row = thread_position_in_grid.y;
const device T* from = x + row * (x_shape[1] - 1);
device T* to = out + row * (x_shape[1] - 1);
for (uint c = 4 * lane; c + 4 < x_shape[1]; c += 128) {
  const vec<T, 4> v = *(const device vec<T, 4>*)(from + c);  //! misaligned_access
  to[c] = v.x;
}
