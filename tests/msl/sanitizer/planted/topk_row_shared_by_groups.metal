/*kernel
op = "topk"
grid = [64, "rows", 1]
threadgroup = [32, 1, 1]
*/
// --- body ---
const uint lane = thread_position_in_threadgroup.x, row = thread_position_in_grid.y;
values[row] = x[row * x_shape[1] + lane];  //! data_race
