/*kernel
op = "matmul"
grid = ["k", "n", "m"]
threadgroup = [8, 1, 1]
init_value = 0.0
*/
// --- body ---
const uint3 p = thread_position_in_grid;
device T& cell = out[p.z * b_shape[0] + p.y];
cell += a[p.z * a_shape[1] + p.x] * b[p.y * a_shape[1] + p.x];  //! data_race
