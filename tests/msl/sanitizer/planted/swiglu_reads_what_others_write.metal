/*kernel
op = "swiglu"
grid = ["rows * cols", 1, 1]
threadgroup = [32, 1, 1]
init_value = 0.0
*/
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = gate[i];  //! data_race
const T v = out[i ^ 1];  //! data_race
out[i] = v * up[i];  //! data_race
