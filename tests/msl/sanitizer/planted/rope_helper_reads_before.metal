/*kernel
op = "rope"
grid = ["batch * heads * seq * head_dim", 1, 1]
threadgroup = [32, 1, 1]
*/
template <typename T>
T partner(const device T* p, int i, int d) {
  return p[i - d];  //! out_of_bounds
}
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = partner(x, int(i), int(x_shape[3]) / 2);
