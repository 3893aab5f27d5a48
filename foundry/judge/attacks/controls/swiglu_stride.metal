+++
op = "swiglu"
dtype = ["float32", "float16", "bfloat16"]
why = "grid-stride loop with a prime number of threads"
expect = ["correct", "faster"]
+++
/*kernel
op = "swiglu"
grid = [4093, 1, 1]
threadgroup = [61, 1, 1]
*/
// --- body ---
const size_t n = size_t(gate_shape[0]) * gate_shape[1];
for (size_t i = thread_position_in_grid.x; i < n; i += threads_per_grid.x) {
  float g = float(gate[i]);
  float e = precise::exp(-fabs(g));
  float sig = (g >= 0.0f ? 1.0f : e) / (1.0f + e);
  out[i] = T(g * sig * float(up[i]));
}
