/*kernel
op = "topk"
grid = ["rows", 1, 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint i = thread_position_in_grid.x;  //! stack_overflow
volatile float all[65536];  //! stack_overflow
all[i] = float(x[i]);  //! stack_overflow
all[65535 - i] = 1;  //! stack_overflow
values[i] = T(all[i]);
