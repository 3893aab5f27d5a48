/*kernel
op = "swiglu"
grid = ["rows * cols // 2", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
device vec<T, 2>* to = (device vec<T, 2>*)(out + 1);
if (2 * i + 3 < gate_shape[0] * gate_shape[1])
  to[i] = vec<T, 2>(1);  //! misaligned_access
