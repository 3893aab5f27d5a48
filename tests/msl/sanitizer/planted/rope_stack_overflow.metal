/*kernel
op = "rope"
grid = ["batch * heads * seq * head_dim", 1, 1]
threadgroup = [32, 1, 1]
*/
inline float deep(float v, int n) {  //! stack_overflow
  volatile float a[256];  //! stack_overflow
  a[n % 256] = v;  //! stack_overflow
  return n > 100000 ? v : deep(v + a[(n * 7) % 256], n + 1) + a[n % 256];  //! stack_overflow
}
// --- body ---
const uint i = thread_position_in_grid.x;
out[i] = T(deep(float(x[i]), 1));
