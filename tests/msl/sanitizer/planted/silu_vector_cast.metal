/*kernel
op = "silu"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;
const vec<T, 4> v = ((const device vec<T, 4>*)x)[i];  //! out_of_bounds
out[i] = v.x;
