/*kernel
op = "silu"
grid = ["rows * cols - 5 + 2", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const uint n = x_shape[0] * x_shape[1];
if (i + 5 > n) return;
const vec<T, 4> v = *(const device vec<T, 4>*)(x + i + 1);  //! misaligned_access
out[i] = v.x;
